//! Draws a figure as SVG and as PNG with the same code.

use std::sync::OnceLock;

use plotters::coord::CoordTranslate;
use plotters::coord::ranged1d::{KeyPointHint, Ranged};
use plotters::coord::types::RangedCoordf64;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, register_font};

use super::panel::{Figure, Line, Panel};
use super::strokes::Stroke;
use super::ticks::Ticks;
use crate::error::ReproduceError;
use crate::record::CurveName;

/// Size of a panel in pixels.
const PANEL: (u32, u32) = (520, 380);
/// Height of a row of the legend.
const LEGEND_ROW: u32 = 24;
/// Pixels of the PNG to one as shown.
const PNG_SCALE: u32 = 2;
/// Units of the SVG to a pixel: the drawing has whole numbers for coordinates.
const SVG_SCALE: u32 = 4;

/// Okabe and Ito's colours, which colour-blind people can tell apart (2008), and two more.
const COLOURS: [RGBColor; 9] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(0, 0, 0),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(130, 90, 44),
    RGBColor(120, 120, 120),
];

fn failed(error: impl std::fmt::Display) -> ReproduceError {
    ReproduceError::Figure(error.to_string())
}

/// The pixels are drawn with a font that comes with the program, so that no machine needs one.
fn font() -> Result<(), ReproduceError> {
    static FONT: OnceLock<bool> = OnceLock::new();
    let known = FONT.get_or_init(|| {
        let bytes = epaint_default_fonts::UBUNTU_LIGHT;
        [FontStyle::Normal, FontStyle::Bold].iter().all(|style| register_font("sans-serif", *style, bytes).is_ok())
    });
    if *known { Ok(()) } else { Err(failed("the built-in font cannot be read")) }
}

impl Figure {
    /// As an SVG and a PNG of the same picture.
    ///
    /// # Errors
    /// Where it cannot be drawn.
    pub fn draw(&self) -> Result<(String, Vec<u8>), ReproduceError> {
        Ok((svg(self)?, png(self)?))
    }
}

/// The figure as SVG.
///
/// # Errors
/// Where it cannot be drawn.
pub fn svg(figure: &Figure) -> Result<String, ReproduceError> {
    font()?;
    let mut text = String::new();
    let (sizes, shown) = (Sizes::of(figure, SVG_SCALE), Sizes::of(figure, 1));
    paint(figure, sizes, SVGBackend::with_string(&mut text, sizes.whole()).into_drawing_area())?;
    let head = |(width, height): (u32, u32)| format!("<svg width=\"{width}\" height=\"{height}\"");
    Ok(text.replacen(&head(sizes.whole()), &head(shown.whole()), 1))
}

/// The figure as PNG, with twice as many pixels each way.
///
/// # Errors
/// Where it cannot be drawn.
pub fn png(figure: &Figure) -> Result<Vec<u8>, ReproduceError> {
    font()?;
    let sizes = Sizes::of(figure, PNG_SCALE);
    let (width, height) = sizes.whole();
    let mut pixels = vec![255; (width * height * 3) as usize];
    paint(figure, sizes, BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area())?;
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels)).map_err(failed)?;
    Ok(file)
}

/// All lengths, for one size of pixel.
#[derive(Clone, Copy)]
struct Sizes {
    scale: u32,
    columns: u32,
    rows: u32,
    legend_columns: u32,
    legend_rows: u32,
}

impl Sizes {
    fn of(figure: &Figure, scale: u32) -> Self {
        let panels = figure.panels.len().max(1) as u32;
        let columns = (figure.columns.max(1) as u32).min(panels);
        let labels = figure.labels();
        let longest = labels.iter().map(|l| l.name().chars().count()).max().unwrap_or(1) as u32;
        let legend_columns = (columns * PANEL.0 / (8 * longest + 60)).max(1);
        let legend_rows = (labels.len() as u32).div_ceil(legend_columns);
        Self { scale, columns, rows: panels.div_ceil(columns), legend_columns, legend_rows }
    }

    fn px(self, length: u32) -> u32 {
        length * self.scale
    }

    fn panels_height(self) -> u32 {
        self.px(PANEL.1 * self.rows)
    }

    fn whole(self) -> (u32, u32) {
        (self.px(PANEL.0 * self.columns), self.panels_height() + self.px(LEGEND_ROW * self.legend_rows + 12))
    }
}

fn paint<B: DrawingBackend>(
    figure: &Figure,
    sizes: Sizes,
    area: DrawingArea<B, plotters::coord::Shift>,
) -> Result<(), ReproduceError> {
    area.fill(&WHITE).map_err(failed)?;
    let looks = Looks::of(figure);
    let (panels, legend) = area.split_vertically(sizes.panels_height());
    let cells = panels.split_evenly((sizes.rows as usize, sizes.columns as usize));
    for (panel, cell) in figure.panels.iter().zip(&cells) {
        paint_panel(panel, &looks, sizes, cell)?;
    }
    paint_legend(&looks, sizes, &legend)?;
    area.present().map_err(failed)
}

/// How the curves of a figure look, by their labels.
struct Looks {
    labels: Vec<CurveName>,
    strokes: Vec<Stroke>,
    marked: Vec<bool>,
}

/// How one curve looks.
#[derive(Clone, Copy)]
struct Look {
    colour: RGBColor,
    stroke: Stroke,
    /// Whether its points are marked, in some panel.
    marked: bool,
}

impl Looks {
    fn of(figure: &Figure) -> Self {
        let labels = figure.labels();
        let lines = || figure.panels.iter().flat_map(|panel| &panel.lines);
        let marked = labels.iter().map(|label| lines().any(|line| line.label == *label && line.marked)).collect();
        Self { strokes: Stroke::of(figure), marked, labels }
    }

    fn look(&self, label: CurveName) -> Look {
        let place = self.labels.iter().position(|known| *known == label).unwrap_or(0);
        Look { colour: COLOURS[place % COLOURS.len()], stroke: self.strokes[place], marked: self.marked[place] }
    }
}

/// A line through points, in units of the area; broken where its stroke is.
fn strokes<DB: DrawingBackend, CT: CoordTranslate>(
    points: Vec<CT::From>,
    look: Look,
    width: u32,
    sizes: Sizes,
    area: &DrawingArea<DB, CT>,
) -> Result<(), ReproduceError>
where
    CT::From: Clone + 'static,
{
    let style = look.colour.stroke_width(sizes.px(width));
    match look.stroke.gaps() {
        None => area.draw(&PathElement::new(points, style)),
        Some((drawn, free)) => area.draw(&DashedPathElement::new(points, sizes.px(drawn), sizes.px(free), style)),
    }
    .map_err(failed)
}

/// A point's mark: filled, around those below it, or a cross over them.
fn mark<DB: DrawingBackend, CT: CoordTranslate>(
    at: CT::From,
    look: Look,
    sizes: Sizes,
    area: &DrawingArea<DB, CT>,
) -> Result<(), ReproduceError>
where
    CT::From: Clone,
{
    let open = look.colour.stroke_width(sizes.px(2));
    match look.stroke {
        Stroke::Solid => area.draw(&Circle::new(at, sizes.px(3), look.colour.filled())),
        Stroke::Dashed => area.draw(&Circle::new(at, sizes.px(6), open)),
        Stroke::Dotted => area.draw(&Cross::new(at, sizes.px(4), open)),
    }
    .map_err(failed)
}

/// x, then mean, lower and upper end of the band, in the axes' units.
type Seen = (f64, [f64; 3]);

/// The curve's points in the axes' units; where an axis is logarithmic, those that it can show.
fn visible(line: &Line, panel: &Panel) -> Vec<Seen> {
    let unit = |log: bool, value: f64| if log { value.max(f64::MIN_POSITIVE).log10() } else { value };
    let shown = line.points.iter().filter(|p| {
        let finite = p.x.is_finite() && p.mean.is_finite();
        finite && (!panel.x.log || p.x > 0.0) && (!panel.y.log || p.mean > 0.0)
    });
    let finite = |band: f64, mean: f64| if band.is_finite() && (!panel.y.log || band > 0.0) { band } else { mean };
    shown
        .map(|p| {
            let bands = [p.mean, finite(p.low, p.mean), finite(p.high, p.mean)];
            (unit(panel.x.log, p.x), bands.map(|v| unit(panel.y.log, v)))
        })
        .collect()
}

/// An axis whose marks are known.
struct Marked {
    range: RangedCoordf64,
    marks: Vec<f64>,
}

impl Marked {
    fn new(ticks: &Ticks) -> Self {
        Self { range: (ticks.from..ticks.to).into(), marks: ticks.marks.clone() }
    }
}

impl Ranged for Marked {
    type FormatOption = plotters::coord::ranged1d::NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        self.range.map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.marks.clone()
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.range.range()
    }
}

impl plotters::coord::ranged1d::ValueFormatter<f64> for Marked {}

fn paint_panel<B: DrawingBackend>(
    panel: &Panel,
    looks: &Looks,
    sizes: Sizes,
    area: &DrawingArea<B, plotters::coord::Shift>,
) -> Result<(), ReproduceError> {
    let lines: Vec<(&Line, Vec<Seen>)> = panel.lines.iter().map(|l| (l, visible(l, panel))).collect();
    let bounds = |of: fn(&Seen) -> [f64; 2]| {
        lines
            .iter()
            .flat_map(|(_, p)| p)
            .map(of)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), [a, b]| (low.min(a), high.max(b)))
    };
    let (left, right) = bounds(|(x, _)| [*x, *x]);
    let (low, high) = bounds(|(_, [_, low, high])| [*low, *high]);
    let (x, y) = (Ticks::new(left, right, panel.x.log), Ticks::new(low, high, panel.y.log));
    let px = |length: u32| sizes.px(length);
    let text = |size: u32| ("sans-serif", f64::from(px(size)));
    let mut chart = ChartBuilder::on(area)
        .margin(px(10))
        .margin_right(px(18))
        .caption(&panel.title, text(17))
        .x_label_area_size(px(44))
        .y_label_area_size(px(64))
        .build_cartesian_2d(Marked::new(&x), Marked::new(&y))
        .map_err(failed)?;
    chart
        .configure_mesh()
        .x_desc(&panel.x.label)
        .y_desc(&panel.y.label)
        .x_label_formatter(&|mark| x.say(*mark))
        .y_label_formatter(&|mark| y.say(*mark))
        .label_style(text(13))
        .axis_desc_style(text(15))
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(225, 225, 225))
        .draw()
        .map_err(failed)?;
    for (line, points) in &lines {
        let colour = looks.look(line.label).colour;
        if points.iter().any(|(_, [_, low, high])| high > low) {
            let lows = points.iter().map(|(x, [_, low, _])| (*x, *low));
            let highs = points.iter().rev().map(|(x, [_, _, high])| (*x, *high));
            let outline: Vec<(f64, f64)> = lows.chain(highs).collect();
            chart.draw_series(std::iter::once(Polygon::new(outline, colour.mix(0.15)))).map_err(failed)?;
        }
    }
    // Over all bands, and what is broken over what it coincides with.
    let mut order: Vec<_> = lines.iter().map(|(line, points)| (looks.look(line.label), line, points)).collect();
    order.sort_by_key(|(look, ..)| look.stroke);
    for (look, line, points) in order {
        let means: Vec<(f64, f64)> = points.iter().map(|(x, [mean, ..])| (*x, *mean)).collect();
        strokes(means.clone(), look, 2, sizes, chart.plotting_area())?;
        if line.marked {
            means.into_iter().try_for_each(|at| mark(at, look, sizes, chart.plotting_area()))?;
        }
    }
    Ok(())
}

fn paint_legend<B: DrawingBackend>(
    looks: &Looks,
    sizes: Sizes,
    area: &DrawingArea<B, plotters::coord::Shift>,
) -> Result<(), ReproduceError> {
    let px = |length: u32| sizes.px(length) as i32;
    let column = (sizes.columns * PANEL.0 / sizes.legend_columns) as i32 * sizes.scale as i32;
    let style = ("sans-serif", f64::from(px(15))).into_text_style(area).pos(Pos::new(HPos::Left, VPos::Center));
    for (i, label) in looks.labels.iter().enumerate() {
        let (row, place) = (i as u32 / sizes.legend_columns, i as u32 % sizes.legend_columns);
        let (left, middle) = (px(24) + place as i32 * column, px(LEGEND_ROW * row + LEGEND_ROW / 2));
        let look = looks.look(*label);
        strokes(vec![(left, middle), (left + px(24), middle)], look, 3, sizes, area)?;
        if look.marked {
            mark((left + px(12), middle), look, sizes, area)?;
        }
        area.draw(&Text::new(label.name(), (left + px(32), middle), style.clone())).map_err(failed)?;
    }
    Ok(())
}
