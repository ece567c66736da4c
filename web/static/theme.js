// Light or dark, before anything is drawn: as chosen here, else as the system says.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    let chosen = null;
    try { chosen = localStorage.getItem("towpath-theme"); } catch { /* storage may be forbidden: the system decides */ }
    document.documentElement.dataset.theme = chosen || (dark.matches ? "dark" : "light");
  };
  dark.addEventListener("change", apply);
  window.addEventListener("storage", apply);
  apply();
})();
