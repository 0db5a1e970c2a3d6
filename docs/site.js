// Of the pages that `npm run docs` makes: what is wider than the screen can be scrolled by keys, and fades where it goes on.
function mark(part) {
  const isWider = part.scrollWidth > part.clientWidth + 1;
  if (isWider) part.tabIndex = 0;
  else part.removeAttribute('tabindex');
  part.classList.toggle('goes-on', isWider && part.scrollLeft + part.clientWidth < part.scrollWidth - 1);
}
const observer = new ResizeObserver((entries) => {
  for (const { target } of entries) mark(target);
});
for (const part of document.querySelectorAll('.tsd-typography table, .tsd-typography p:has(> img), pre')) {
  observer.observe(part);
  part.addEventListener('scroll', () => mark(part), { passive: true });
}
