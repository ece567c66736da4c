"""Who may: how somebody proves who they are, what that lets them do, and what is written down about it."""
