// Hides the rows that a reader did not ask for. Without it all are there.
(function () {
  var table = document.getElementById("every");
  if (!table) return;
  document.documentElement.classList.add("scripted");
  var rows = Array.prototype.slice.call(table.tBodies[0].rows);
  var fields = Array.prototype.slice.call(document.querySelectorAll(".filters [name]"));
  var words = rows.map(function (row) { return row.textContent.toLowerCase(); });
  var shown = document.querySelector(".filters output");
  function wanted(row, index) {
    return fields.every(function (field) {
      var value = field.value.trim().toLowerCase();
      if (!value) return true;
      if (field.name === "words") return value.split(/\s+/).every(function (word) { return words[index].indexOf(word) >= 0; });
      return (" " + (row.getAttribute("data-" + field.name) || "").toLowerCase() + " ").indexOf(" " + value + " ") >= 0;
    });
  }
  function filter() {
    var count = 0;
    rows.forEach(function (row, index) { row.hidden = !wanted(row, index); count += row.hidden ? 0 : 1; });
    shown.textContent = count + " of " + rows.length;
    var asked = fields.filter(function (field) { return field.value; }).map(function (field) { return field.name + "=" + encodeURIComponent(field.value); });
    history.replaceState(null, "", asked.length ? "#" + asked.join("&") : location.pathname + location.search);
  }
  location.hash.slice(1).split("&").forEach(function (pair) {
    var parts = pair.split("="), field = fields.find(function (each) { return each.name === parts[0]; });
    if (field && parts.length === 2) field.value = decodeURIComponent(parts[1]);
  });
  fields.forEach(function (field) { field.addEventListener("input", filter); });
  if (fields.some(function (field) { return field.value; })) filter(); else shown.textContent = rows.length + " of " + rows.length;
})();
