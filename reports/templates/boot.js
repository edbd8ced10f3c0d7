// Replaces each static chart by its interactive one. A chart that fails to start stays as it was drawn.
document.querySelectorAll("figure.chart").forEach(function (figure) {
  var target = figure.querySelector(".live");
  var spec = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
  figure.classList.add("on");
  spec.config.legend.columns = Math.max(1, Math.min(4, Math.floor((target.clientWidth - 130) / 160)));
  vegaEmbed(target, spec, { mode: "vega-lite", renderer: "svg", actions: false }).catch(function (error) {
    figure.classList.remove("on");
    console.error(error);
  });
});
