//! The phase portrait: which strategy wins, over dirty pages and the pattern in which they lie.
//!
//! Every field says its winner in words, so that the colours only help, and what choosing otherwise costs: the regret of
//! the next best, and of the baseline.

use std::collections::BTreeSet;

use super::setting::{Curve, Setting, pages};
use crate::present::figures::canvas::{Align, Canvas, Point, Type};
use crate::present::figures::parts::{MARGIN, SMALL};
use crate::present::figures::text::cut;
use crate::present::figures::{Figure, Numbers, WIDTH};
use crate::present::palette::{INK, MUTED, Palette, STRIPE};
use crate::present::view::{Group, Shown, family, variant};
use crate::prose::printable;
use crate::units::{ns, ratio};

const TILE: f64 = 124.0;
/// The pattern above its fields, and the numbers of pages above all.
const HEAD: f64 = 34.0;
const GAP: f64 = 4.0;
/// The stripe in the winner's colour.
const BAND: f64 = 9.0;
const WORD: Type = Type::new(17.5, INK);
const FAINT: Type = Type::new(17.5, MUTED);

const CAPTION: &str = "Each field names the best sound strategy for a number of dirty pages (across) and the pattern in which \
    they lie and move (down), with its median cycle. \"next\" is the regret of the second best, which is its cycle over the \
    winner's; \"base\" is that of the baseline. The stripe has the winner's colour; where it is split, the lower \
    colour is that of the second best, which cannot be told from the winner.";

/// The winners of one setting, unless there is nothing to compare: one pattern with one number of dirty pages.
pub fn figure(setting: &Setting, palette: &Palette) -> Option<Figure> {
    let curves = &setting.curves;
    let dirty: BTreeSet<u64> =
        curves.iter().flat_map(|curve| &curve.places).map(|(dirty, _)| *dirty).collect();
    if dirty.len() * curves.len() < 2 {
        return None;
    }
    let subject = format!("{}: who wins where", setting.title);
    let mut figure = Figure::new("portrait", &subject, &finding(curves), CAPTION, numbers(curves));
    let canvas = &mut figure.canvas;
    let top = figure.top + HEAD;
    let inner = f64::from(WIDTH) - 2.0 * MARGIN;
    let width = inner / dirty.len() as f64;
    let column = |i: usize| MARGIN + width * i as f64;
    for (i, dirty) in dirty.iter().enumerate() {
        let text = if i == 0 { pages(*dirty) } else { dirty.to_string() };
        canvas.text(&text, column(i), top - 18.0, FAINT, Align::Left);
    }
    let row = |i: usize| top + (HEAD + TILE) * i as f64;
    for (i, curve) in curves.iter().enumerate() {
        let y = row(i) + HEAD;
        let pattern = cut(&printable(&curve.pattern), WORD.face(), inner);
        canvas.text(&pattern, MARGIN, y - 16.0, WORD.bold(), Align::Left);
        for (i, dirty) in dirty.iter().enumerate() {
            let (from, to) = ((column(i), y), (column(i) + width - GAP, y + TILE - GAP));
            match curve.places.iter().find(|(known, _)| known == dirty) {
                Some((_, group)) => tile(canvas, group, from, to, palette),
                None => {
                    let centre = (f64::midpoint(from.0, to.0), f64::midpoint(from.1, to.1));
                    canvas.text("–", centre.0, centre.1, FAINT, Align::Middle);
                }
            }
        }
    }
    Some(figure.ending(row(curves.len()) + MARGIN))
}

/// The field of a place.
fn tile(canvas: &mut Canvas, group: &Group, (x, y): Point, (right, bottom): Point, palette: &Palette) {
    let Some(best) = group.best() else { return };
    canvas.rect((x, y), (right, bottom), STRIPE);
    let tied = group.next().filter(|next| tied(*next));
    let half = if tied.is_some() { (y + bottom) / 2.0 } else { bottom };
    canvas.rect((x, y), (x + BAND, half), palette.style(best.name()).colour);
    if let Some(tied) = tied {
        canvas.rect((x, half), (x + BAND, bottom), palette.style(tied.name()).colour);
    }
    let left = x + BAND + 8.0;
    let room = right - left - 2.0;
    let times = |cell: Option<Shown>, who: &str| {
        cell.and_then(Shown::regret).map(|regret| format!("{who} ×{}", ratio(regret.value)))
    };
    // A long name is better in a light face than cut.
    let fits = WORD.bold().face().width(variant(best.name())) <= room;
    let lines = [
        (family(best.name()).to_owned(), SMALL),
        (variant(best.name()).to_owned(), if fits { WORD.bold() } else { WORD }),
        (best.cycle().map_or(String::new(), |q| ns(q.p50)), WORD),
        (times(group.next(), "next").unwrap_or("no other".into()), SMALL),
        (times(group.cell(group.baseline), "base").unwrap_or_default(), SMALL),
    ];
    for (i, (text, kind)) in (1..).zip(lines) {
        let text = cut(&printable(&text), kind.face(), room);
        canvas.text(&text, left, y - 9.0 + 23.5 * f64::from(i), kind, Align::Left);
    }
}

/// Whether a contender cannot be told from the best.
fn tied(cell: Shown) -> bool {
    cell.regret().is_some_and(|regret| regret.low <= 1.0 && regret.high >= 1.0)
}

fn finding(curves: &[Curve]) -> String {
    let places = curves.iter().flat_map(|curve| &curve.places);
    let winners: Vec<&str> = places.filter_map(|(_, group)| group.best().map(Shown::name)).collect();
    let distinct: BTreeSet<&str> = winners.iter().copied().collect();
    let wins = |name: &&&str| winners.iter().filter(|winner| *winner == *name).count();
    // The first by name of those that win most often.
    let most = distinct.iter().rev().max_by_key(wins);
    most.map_or_else(String::new, |name| {
        format!("{name} wins in {} of {} places", wins(&name), winners.len())
    })
}

fn numbers(curves: &[Curve]) -> Numbers {
    let head = [
        "pattern",
        "dirty pages",
        "best",
        "cycle p50",
        "next best",
        "regret of next",
        "told apart",
        "regret of baseline",
    ];
    let regret = |cell: Option<Shown>| {
        let regret = cell.and_then(Shown::regret);
        regret.map_or("-".into(), |r| format!("{} [{}, {}]", ratio(r.value), ratio(r.low), ratio(r.high)))
    };
    let rows = curves.iter().flat_map(|curve| {
        curve.winners().map(|(winner, group)| {
            let next = group.next();
            let apart = next.map_or("-", |cell| if tied(cell) { "no" } else { "yes" });
            winner
                .into_iter()
                .chain([regret(next), apart.into(), regret(group.cell(group.baseline))])
                .collect()
        })
    });
    Numbers::new(&head, rows)
}
