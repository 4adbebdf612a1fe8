// Boxes that scroll sideways can be reached with the Tab key, and only these.
function reach() {
  for (const box of document.querySelectorAll(".bd-article :is(pre, .table-box, div.math, .pst-scrollable-table-container)")) {
    if (box.scrollWidth > box.clientWidth + 1) {
      box.tabIndex = 0;
    } else {
      box.removeAttribute("tabindex");
    }
  }
}

addEventListener("load", reach);
// Formulas are wider in their own fonts, which may come later.
document.fonts.ready.then(reach);
document.fonts.addEventListener("loadingdone", reach);
addEventListener("resize", reach);
