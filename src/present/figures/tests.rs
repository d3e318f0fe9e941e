use std::collections::BTreeSet;

use super::text::Face;
use super::*;
use crate::analyse::summary::Summary;
use crate::gate::course::{Course, Stop};
use crate::gate::series::{Metric, Series};
use crate::present::fixture;
use crate::prose::printable;

fn figures(summary: &Summary) -> Vec<Figure> {
    let (rows, distributions) = (fixture::rows(summary), fixture::distributions(summary));
    let palette = palette(summary);
    Group::all(summary).iter().flat_map(|group| of(group, &palette, &distributions, &rows)).collect()
}

/// The figures over the blocks of long runs.
fn growth_figures(mut summary: Summary) -> Vec<Figure> {
    let rows = fixture::long_rows(&mut summary);
    let (groups, palette) = (Group::all(&summary), palette(&summary));
    groups.iter().filter_map(|group| growth::figure(group, &palette, &rows)).collect()
}

fn palette(summary: &Summary) -> Palette {
    Palette::new(summary.cells.iter().map(|cell| cell.strategy.as_str()))
}

fn landscape_figures() -> Vec<Figure> {
    let (summary, landscape) = fixture::landscape();
    let settings = landscape::setting::settings(&summary, &landscape);
    landscape::of(&settings, &palette(&summary)).into_iter().map(|(_, figure)| figure).collect()
}

/// The figures of all made-up runs.
fn all_figures() -> Vec<Figure> {
    let both =
        everything().into_iter().flat_map(|summary| [figures(&summary), growth_figures(summary)].concat());
    both.chain(landscape_figures()).chain([history_figure()]).collect()
}

/// Six strategies over twenty nights: one that gets dearer and cheaper again, one that changes on the last night, four
/// that are steady; two nights are noisy, and the first three have no intervals.
fn history_figure() -> Figure {
    let course = |strategy: &str, ratio: f64, change: fn(u64) -> f64| {
        let series = Series {
            workload: "stress/touch".into(),
            params: "{\"dirty\":256}".into(),
            strategy: strategy.into(),
            metric: Metric::Cycle,
        };
        let stop = |night: u64| {
            let noisy = [6, 14].contains(&night);
            let ratio = ratio * change(night) * if noisy { 1.15 } else { 1.0 + 0.002 * (night % 3) as f64 };
            let interval = (night > 2).then_some([ratio * 0.985, ratio * 1.02]);
            Stop { at: 1_767_225_600 + night * 86_400, ratio, interval, noisy }
        };
        Course::new(series, (0..20).map(stop).collect(), None)
    };
    let courses = [
        course("copy/full", 0.9, |_| 1.0),
        course("copy/pages", 0.8, |_| 1.0),
        course("dirty/pagemap", 0.42, |_| 1.0),
        course("dirty/uffd-wp", 0.4, |night| if (11..15).contains(&night) { 1.12 } else { 1.0 }),
        course("remap/madvise", 0.6, |night| if night == 19 { 1.09 } else { 1.0 }),
        course("remap/mmap", 0.95, |_| 1.0),
    ];
    let palette = Palette::new(courses.iter().map(|course| course.series.strategy.as_str()));
    history::figure(&courses, &palette, "x86_64-made-up-2c", "fresh/pooling").unwrap()
}

fn everything() -> Vec<Summary> {
    let mut single = fixture::small();
    single.cells.truncate(1);
    vec![fixture::summary(), fixture::small(), fixture::extreme(), fixture::odd(), single]
}

/// A text of a drawing and the rectangle that it covers.
struct Label {
    text: String,
    x: (f64, f64),
    y: (f64, f64),
}

fn labels(svg: &str) -> Vec<Label> {
    let document = roxmltree::Document::parse(svg).unwrap();
    let texts = document.descendants().filter(|node| node.has_tag_name("text"));
    texts
        .map(|node| {
            let number = |name: &str| node.attribute(name).unwrap().parse::<f64>().unwrap();
            let text = node.text().unwrap_or_default().trim().to_owned();
            let (x, y, size) = (number("x"), number("y"), number("font-size"));
            let width = Face::new(size, node.attribute("font-weight") == Some("bold")).width(&text);
            let left = match node.attribute("text-anchor").unwrap() {
                "start" => x,
                "middle" => x - width / 2.0,
                "end" => x - width,
                other => panic!("unknown anchor {other}"),
            };
            Label { text, x: (left, left + width), y: (y - 0.45 * size, y + 0.45 * size) }
        })
        .collect()
}

#[test]
fn every_drawing_is_well_formed_and_has_a_name() {
    for drawing in all_figures() {
        let svg = drawing.svg();
        let document = roxmltree::Document::parse(&svg).unwrap();
        let name = document.root_element().attribute("aria-label").unwrap();
        assert_eq!(name, printable(&drawing.title));
        assert!(drawing.caption.ends_with('.'));
        assert!(!drawing.numbers.rows.is_empty());
        assert!(drawing.numbers.rows.iter().all(|row| row.len() == drawing.numbers.head.len()));
    }
}

#[test]
fn no_text_is_clipped_and_none_covers_another() {
    for drawing in all_figures() {
        let svg = drawing.svg();
        let document = roxmltree::Document::parse(&svg).unwrap();
        let size = |name: &str| document.root_element().attribute(name).unwrap().parse::<f64>().unwrap();
        let labels = labels(&svg);
        for (i, a) in labels.iter().enumerate() {
            let inside = a.x.0 >= 0.0 && a.x.1 <= size("width") && a.y.0 >= 0.0 && a.y.1 <= size("height");
            assert!(inside, "`{}` is clipped in {}", a.text, drawing.title);
            for b in &labels[i + 1..] {
                let apart = a.x.1 <= b.x.0 || b.x.1 <= a.x.0 || a.y.1 <= b.y.0 || b.y.1 <= a.y.0;
                assert!(apart, "`{}` and `{}` overlap in {}", a.text, b.text, drawing.title);
            }
        }
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let summary = fixture::summary();
    let drawn = || -> Vec<String> { figures(&summary).iter().map(Figure::svg).collect() };
    assert_eq!(drawn().len(), 25);
    assert!(drawn() == drawn());
    let png = || figures(&fixture::small())[0].png().unwrap();
    assert!(png() == png());
}

#[test]
fn a_png_has_the_size_of_its_svg() {
    let figure = figures(&fixture::small()).swap_remove(0);
    let png = figure.png().unwrap();
    let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    let svg = figure.svg();
    assert!(svg.contains(&format!("width=\"{}\" height=\"{}\"", info.width, info.height)), "{svg:.200}");
    // The paper reaches the last row and column.
    assert!(pixels[pixels.len() - info.width as usize * 3..].iter().all(|channel| *channel == 0xFF));
}

#[test]
fn what_diverged_is_named_and_never_drawn() {
    for drawing in figures(&fixture::small()) {
        let texts: Vec<String> = labels(&drawing.svg()).into_iter().map(|label| label.text).collect();
        // In words: a coordinate may well hold these digits.
        let mut said = texts.iter().chain(drawing.numbers.rows.iter().flatten()).chain([&drawing.title]);
        assert!(said.all(|text| !text.contains("777") && !text.contains("778")), "{}", drawing.title);
        assert!(!texts.iter().any(|text| text == "control/none" || text == "none"), "{texts:?}");
        let note = texts.join(" ");
        assert!(
            note.contains("Not drawn: remap/mmap") || note.contains("Not drawn: dirty/soft-dirty"),
            "{note}"
        );
        assert!(note.contains("control/none (diverged"), "{note}");
        assert!(!drawing.numbers.rows.iter().any(|row| row[0] == "control/none"));
    }
}

#[test]
fn all_strategies_are_drawn_or_named() {
    let summary = fixture::small();
    for drawing in figures(&summary) {
        let text = labels(&drawing.svg()).into_iter().map(|label| label.text).collect::<Vec<_>>().join(" ");
        for cell in &summary.cells {
            let (_, variant) = cell.strategy.split_once('/').unwrap();
            assert!(text.contains(variant), "{} is missing in {}", cell.strategy, drawing.title);
        }
    }
}

#[test]
fn there_is_no_figure_of_nothing() {
    let mut summary = fixture::small();
    for cell in &mut summary.cells {
        cell.equivalence = crate::analyse::summary::Equivalence::Diverged;
    }
    assert!(figures(&summary).is_empty());
    summary.cells.clear();
    assert!(figures(&summary).is_empty());
}

#[test]
fn colours_are_those_that_the_stylesheet_knows() {
    let rules = crate::present::palette::dark_rules();
    let mut used = BTreeSet::new();
    for drawing in all_figures() {
        let svg = drawing.svg();
        let document = roxmltree::Document::parse(&svg).unwrap();
        for node in document.descendants() {
            for name in ["fill", "stroke"] {
                used.extend(node.attribute(name).filter(|value| value.starts_with('#')).map(str::to_owned));
            }
        }
    }
    assert!(used.len() > 20);
    for colour in used {
        assert!(rules.contains(&format!("[fill=\"{colour}\"]")), "{colour} has no dark form");
    }
}

#[test]
fn drawings_of_a_small_run() {
    let drawn = figures(&fixture::small()).into_iter().chain(landscape_figures());
    let drawn: Vec<(&str, String)> = drawn.map(|figure| (figure.kind, figure.svg())).collect();
    let kinds: Vec<&str> = drawn.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(
        kinds,
        [
            "overhead", "cycles", "rss", "pareto", "startup", "dirty", "portrait", "dirty", "portrait",
            "threads"
        ]
    );
    for (number, (kind, svg)) in drawn.into_iter().enumerate() {
        insta::assert_snapshot!(format!("{number}-{kind}"), svg);
    }
}

#[test]
fn memory_over_the_blocks_of_long_runs() {
    let mut drawings = growth_figures(fixture::small());
    let drawing = drawings.remove(0);
    assert!(drawings.is_empty() && drawing.kind == "growth");
    let finding = "of 3 strategies 1 grows, most of all fresh/pooling-scan: 74 (68 to 79) bytes per block";
    assert!(drawing.title.ends_with(finding), "{}", drawing.title);
    let row = |name: &str| drawing.numbers.rows.iter().find(|row| row[0] == name).unwrap()[1..].join(", ");
    assert_eq!(row("fresh/pooling-scan"), "20.0 MiB, 20.7 MiB, +720 KiB, 10,000, 74 (68 to 79), grows");
    assert_eq!(
        row("control/oracle"),
        "20.0 MiB, 20.0 MiB, 0 B, 10,000, 0 (-0.41 to 0.41), no growth is seen"
    );
    insta::assert_snapshot!("growth", drawing.svg());

    let all = growth_figures(fixture::summary());
    assert_eq!(all.len(), 5);
    assert!(all[0].title.contains("; 1 shrinks"), "{}", all[0].title);
}

#[test]
fn without_a_long_run_there_is_no_figure_over_blocks() {
    let kinds: Vec<&str> = figures(&fixture::small()).iter().map(|drawing| drawing.kind).collect();
    assert!(!kinds.contains(&"growth"), "{kinds:?}");
    let mut summary = fixture::small();
    let mut rows = fixture::long_rows(&mut summary);
    // A run that was interrupted before its first window.
    rows.iter_mut().for_each(|row| row.samples.truncate(1));
    let palette = palette(&summary);
    assert!(Group::all(&summary).iter().all(|group| growth::figure(group, &palette, &rows).is_none()));
}

#[test]
fn the_nights_with_their_change_points() {
    let drawing = history_figure();
    let said = |text: &str| labels(&drawing.svg()).iter().any(|label| label.text == text);
    assert!(said("2026-01-12 +12.4 %") && said("2026-01-16 -11.1 %"), "{:?}", drawing.numbers);
    assert!(said("2026-01-20 +9.2 % (seen once)"), "{:?}", drawing.numbers);
    assert!(!said("remap/mmap") && drawing.numbers.rows.len() == 6, "the slowest is in the table only");
    insta::assert_snapshot!("history", drawing.svg());
}

#[test]
fn a_crossover_is_drawn_where_the_best_changes() {
    let dirty = landscape_figures().into_iter().find(|drawing| drawing.kind == "dirty").unwrap();
    let texts: Vec<String> = labels(&dirty.svg()).into_iter().map(|label| label.text).collect();
    let (summary, landscape) = fixture::landscape();
    let crossovers: Vec<f64> = landscape.slices[0].crossovers.iter().map(|c| c.dirty.value.round()).collect();
    assert!(!crossovers.is_empty() && summary.cells.len() > 100);
    for dirty in crossovers {
        assert!(texts.contains(&format!("≈ {dirty}")), "{dirty} in {texts:?}");
    }
}
