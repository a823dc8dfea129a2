// The graph over the whole screen: a wall, a meeting room, a phone held sideways.

/** Let a button show `section` in full screen; `redraw` is called whenever that changes. */
export function fullScreen(section, redraw) {
  const button = section.querySelector("[data-full]");
  if (!button) return;
  if (!document.fullscreenEnabled) { button.hidden = true; return; }
  button.addEventListener("click", () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else section.requestFullscreen();
  });
  document.addEventListener("fullscreenchange", () => {
    button.setAttribute("aria-pressed", String(document.fullscreenElement === section));
    redraw();
  });
}

/** The height that panels share in full screen [px]; null on the page. */
export const fullHeight = (host) => (document.fullscreenElement?.contains(host)
  ? Math.max(320, innerHeight - host.getBoundingClientRect().top - 24) : null);
