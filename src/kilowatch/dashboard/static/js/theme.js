// Light or dark: what the system prefers, until the person chooses. Runs before the page is painted.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const stored = () => { try { return localStorage.getItem("theme") || "auto"; } catch { return "auto"; } };
  const apply = () => {
    const choice = stored();
    document.documentElement.dataset.themeChoice = choice;
    document.documentElement.dataset.theme = choice === "auto" ? (dark.matches ? "dark" : "light") : choice;
    document.dispatchEvent(new CustomEvent("kw:theme"));
  };
  dark.addEventListener("change", apply);
  window.kilowatchTheme = (choice) => {
    try { localStorage.setItem("theme", choice); } catch { /* private browsing: for this page only */ }
    apply();
  };
  // Paper is light, whatever the screen is; charts draw themselves anew on the same event.
  const paper = (on) => {
    if (on) document.documentElement.dataset.theme = "light"; else { apply(); return; }
    const foot = document.getElementById("printed");
    if (foot) foot.textContent = [foot.dataset.said, new Date().toLocaleString(document.documentElement.dataset.locale), document.title, location.href].join(" · ");
    document.dispatchEvent(new CustomEvent("kw:theme"));
  };
  addEventListener("beforeprint", () => paper(true));
  addEventListener("afterprint", () => paper(false));
  apply();
  // Parts that a script shows are put away before the first paint, not after it.
  document.documentElement.classList.add("js");
})();
