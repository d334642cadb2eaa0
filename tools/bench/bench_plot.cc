#include "bench_plot.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string_view>
#include <vector>

#include "bench_report.h"
#include "bench_table.h"

namespace slm::tools {

namespace {

constexpr double kWidth = 760, kLeft = 70, kRight = 30;
constexpr double kTop = 70, kPanelHeight = 190, kPanelGap = 60, kBottom = 55;
constexpr double kPlotWidth = kWidth - kLeft - kRight;

constexpr std::string_view kStyle =
    "<style>\n"
    "text{font:12px system-ui,sans-serif;fill:#767676} .title{font-size:16px;font-weight:600}\n"
    ".axis{stroke:#767676} .grid{stroke:#767676;stroke-opacity:.25} .end{text-anchor:end} .middle{text-anchor:middle}\n"
    ".first{stroke:#3987e5;fill:#3987e5} .second{stroke:#d97a12;fill:#d97a12}\n"
    "polyline{fill:none!important;stroke-width:2} .spread{stroke-width:1.5;stroke-opacity:.6}\n"
    "</style>\n";

// Text that can't end the element it stands in. What is not plain ASCII may not be UTF-8, which XML must be.
std::string Escape(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '<') {
      escaped += "&lt;";
    } else if (c == '&') {
      escaped += "&amp;";
    } else {
      escaped += c >= ' ' && c <= '~' ? c : '?';
    }
  }
  return escaped;
}

std::string Text(double x, double y, std::string_view style, std::string_view text) {
  return "<text x=\"" + Fixed(x, 1) + "\" y=\"" + Fixed(y, 1) + "\" class=\"" + std::string(style) + "\">" +
         Escape(text) + "</text>\n";
}

std::string Line(double x1, double y1, double x2, double y2, std::string_view style) {
  return "<line x1=\"" + Fixed(x1, 1) + "\" y1=\"" + Fixed(y1, 1) + "\" x2=\"" + Fixed(x2, 1) + "\" y2=\"" +
         Fixed(y2, 1) + "\" class=\"" + std::string(style) + "\"/>\n";
}

// 1, 2 or 5 times a power of ten: about `count` steps up to `most`.
double DecimalStep(double most, int count) {
  const double rough = most / count;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough) return factor * power;
  }
  return 10 * power;
}

// A power of two, as context lengths are: at most `count` steps up to `most`.
double BinaryStep(double most, int count) { return std::exp2(std::ceil(std::log2(std::max(1.0, most / count)))); }

struct Point {
  double x;
  const Samples* rates;
};

struct Series {
  std::string legend;
  std::vector<Point> points;  // ascending
};

// A series in a rectangle whose upper edge is at `top`.
class Panel {
 public:
  Panel(const Series& series, const char* style, double top) : series_(series), style_(style), top_(top) {
    furthest_ = std::max(series.points.back().x, 1.0);
    double fastest = 0;
    for (const Point& point : series.points) fastest = std::max(fastest, point.rates->Max());
    step_ = DecimalStep(fastest, 5);
    highest_ = std::ceil(fastest / step_) * step_;
  }

  std::string Svg() const { return Legend() + Axes() + Curve(); }

 private:
  double X(double x) const { return kLeft + x / furthest_ * kPlotWidth; }
  double Y(double rate) const { return top_ + (1 - rate / highest_) * kPanelHeight; }

  std::string Legend() const {
    return "<circle cx=\"" + Fixed(kLeft + 5, 1) + "\" cy=\"" + Fixed(top_ - 15, 1) + "\" r=\"4\" class=\"" + style_ +
           "\"/>\n" + Text(kLeft + 15, top_ - 11, "", series_.legend + ", tokens/s");
  }

  std::string Axes() const {
    std::string svg;
    const int digits = step_ >= 1 ? 0 : static_cast<int>(std::ceil(-std::log10(step_)));
    for (int i = 0; i * step_ <= highest_ * 1.001; ++i) {
      const double y = Y(i * step_);
      svg += Line(kLeft, y, kLeft + kPlotWidth, y, i == 0 ? "axis" : "grid");
      svg += Text(kLeft - 8, y + 4, "end", Fixed(i * step_, digits));
    }
    svg += Line(kLeft, top_, kLeft, top_ + kPanelHeight, "axis");
    const double x_step = BinaryStep(furthest_, 8);
    for (double x = 0; x <= furthest_; x += x_step) {
      svg += Line(X(x), top_ + kPanelHeight, X(x), top_ + kPanelHeight + 5, "axis");
      svg += Text(X(x), top_ + kPanelHeight + 19, "middle", Fixed(x, 0));
    }
    return svg;
  }

  std::string Curve() const {
    std::string line, marks;
    for (const Point& point : series_.points) {
      const double x = X(point.x), y = Y(point.rates->Median());
      line += (line.empty() ? "" : " ") + Fixed(x, 1) + "," + Fixed(y, 1);
      marks += Line(x, Y(point.rates->Min()), x, Y(point.rates->Max()), "spread " + style_);
      marks += "<circle cx=\"" + Fixed(x, 1) + "\" cy=\"" + Fixed(y, 1) + "\" r=\"3\" class=\"" + style_ + "\"/>\n";
    }
    return "<polyline class=\"" + style_ + "\" points=\"" + line + "\"/>\n" + marks;
  }

  const Series& series_;
  std::string style_;
  double top_;
  double furthest_ = 0;
  double step_ = 0;
  double highest_ = 0;
};

// `x`: what stands below the axis. Without points a series has no panel.
std::string Plot(const BenchConditions& run, const std::string& subject, const Series& first, const Series& second,
                 const char* x) {
  std::string panels;
  double top = kTop + 25;
  for (const Series* series : {&first, &second}) {
    if (series->points.empty()) continue;
    panels += Panel(*series, series == &first ? "first" : "second", top).Svg();
    top += kPanelHeight + kPanelGap;
  }
  const double height = top - kPanelGap + kBottom;
  const std::string title = std::filesystem::path(run.model).filename().string() + ": " + subject;
  const std::string conditions = DescribeProcessor(run.machine) + "; kernels " + run.kernels + ", " +
                                 std::to_string(run.threads) + " threads, KV " + run.kv;
  return "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + Fixed(kWidth, 0) + " " + Fixed(height, 0) +
         "\" role=\"img\">\n" + std::string(kStyle) + "<title>" + Escape(title) + "</title>\n" +
         Text(kLeft, 28, "title", title) + Text(kLeft, 48, "", conditions) + panels +
         Text(kLeft + kPlotWidth / 2, height - 14, "middle", x) + "</svg>\n";
}

}  // namespace

std::string PlotSvg(const BenchReport& report) {
  Series prompt, generate;
  for (const Measurement& measured : report.measurements) {
    const bool reads = measured.test == BenchTest::kPrompt;
    Series& series = reads ? prompt : generate;
    series.legend = (reads ? "reading a prompt of " : "generating ") + std::to_string(measured.tokens) + " tokens";
    series.points.push_back({.x = static_cast<double>(measured.depth), .rates = &measured.rates});
  }
  return Plot(report.conditions, "speed over context depth", prompt, generate, "depth: tokens read before");
}

std::string PlotSvg(const SharedReport& report) {
  const auto series = [](const char* legend, const std::vector<SharedRate>& rates) {
    Series made{.legend = legend, .points = {}};
    for (const SharedRate& rate : rates) made.points.push_back({static_cast<double>(rate.count), &rate.rates});
    return made;
  };
  return Plot(report.conditions, "speed of steps that are shared", series("rows of one text", report.rows),
              series("conversations together", report.conversations), "rows, or conversations, of a step");
}

}  // namespace slm::tools
