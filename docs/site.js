// Of the pages that `npm run docs` makes: whatever is wider than the screen and scrolled by itself can be scrolled by keys, too.
const observer = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    else target.removeAttribute('tabindex');
  }
});
for (const part of document.querySelectorAll('.tsd-typography table, pre')) observer.observe(part);
