#!/bin/sh
# What a person would write instead of Towpath's guestbook promotion: clone, two worktrees, set the image, build,
# commit, push. Usage: script.sh DIRECTORY REPOSITORY BRANCH TAG KUBECTL
set -eu
directory=$1 repository=$2 branch=$3 tag=$4 kubectl=$5
git clone --quiet --bare "$repository" "$directory/repository"
git -C "$directory/repository" worktree add --quiet --detach "$directory/src" main
if git -C "$directory/repository" rev-parse --quiet --verify "refs/heads/$branch" >/dev/null; then
    git -C "$directory/repository" worktree add --quiet "$directory/out" "$branch"
else
    git -C "$directory/repository" worktree add --quiet --detach "$directory/out" main
    git -C "$directory/out" checkout --quiet --orphan "$branch"
fi
git -C "$directory/out" rm -r -f --quiet --ignore-unmatch .
printf 'images:\n- name: registry.example.com/guestbook\n  newTag: "%s"\n' "$tag" >>"$directory/src/env/dev/kustomization.yaml"
"$kubectl" kustomize "$directory/src/env/dev" >"$directory/out/all.yaml"
git -C "$directory/out" add --all
git -C "$directory/out" commit --quiet --message "Updated env/dev to use registry.example.com/guestbook:$tag"
git -C "$directory/out" push --quiet "$repository" "HEAD:refs/heads/$branch"
