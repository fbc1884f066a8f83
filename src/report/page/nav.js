/** The table of contents says where the reader is. */
function wakeNav() {
  const links = new Map(
    /** @type {HTMLAnchorElement[]} */ ([...document.querySelectorAll('nav a')]).flatMap((link) => {
      const section = document.getElementById(decodeURIComponent(link.hash.slice(1)));
      return section === null ? [] : [[/** @type {Element} */ (section), link]];
    }),
  );
  /** @type {Set<Element>} */
  const inView = new Set();
  const seen = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (isIntersecting) inView.add(target);
        else inView.delete(target);
      }
      const current = [...links.keys()].find((section) => inView.has(section));
      for (const [section, link] of links) {
        if (section === current) link.setAttribute('aria-current', 'true');
        else link.removeAttribute('aria-current');
      }
    },
    // What is under the bar is gone; what is in the lower half has not come yet.
    { rootMargin: '-60px 0px -50% 0px' },
  );
  for (const section of links.keys()) seen.observe(section);
}
