use unicode_width::UnicodeWidthStr;

use super::*;
use crate::analyse::summary::Summary;
use crate::present::fixture;

fn all(summary: &Summary, width: usize) -> String {
    tables(&Group::all(summary), Options { width, styled: false })
}

#[test]
fn a_small_run_at_80_columns() {
    insta::assert_snapshot!(all(&fixture::small(), 80));
}

#[test]
fn a_whole_workload_at_80_columns() {
    let mut summary = fixture::summary();
    summary.cells.retain(|cell| cell.workload == "synthetic/rotating-2048");
    insta::assert_snapshot!(all(&summary, 80));
}

#[test]
fn extremes_at_80_columns() {
    insta::assert_snapshot!(all(&fixture::extreme(), 80));
}

#[test]
fn no_line_is_wider_than_asked() {
    for summary in [fixture::summary(), fixture::small(), fixture::extreme(), fixture::odd()] {
        for width in (20..=130).step_by(5) {
            for line in all(&summary, width).lines() {
                assert!(line.width() <= width, "{} columns of {width}: {line}", line.width());
            }
        }
    }
}

#[test]
fn eighty_columns_hold_every_column_and_name() {
    let text = all(&fixture::summary(), 80);
    assert!(!text.contains("no room for"), "{text}");
    assert!(!text.contains('…'), "{text}");
}

#[test]
fn a_wide_terminal_gets_whole_intervals() {
    assert!(
        all(&fixture::summary(), 120)
            .contains("baseline: fresh/relink; a ratio below 1 is faster; in brackets")
    );
}

#[test]
fn what_diverged_has_no_figure() {
    let text = all(&fixture::small(), 80);
    assert!(!text.contains("777"), "{text}");
    let line = text.lines().find(|line| line.starts_with("control/none")).unwrap();
    assert_eq!(line.matches('-').count(), 7, "{line}");
}

#[test]
fn controls_come_last_and_contenders_by_cycle() {
    let text = all(&fixture::small(), 80);
    let place = |name: &str| text.lines().position(|line| line.starts_with(name)).unwrap();
    let order =
        ["fresh/pooling-scan   ", "fresh/relink   ", "dirty/soft-dirty ", "controls,", "control/oracle "];
    assert!(order.windows(2).all(|pair| place(pair[0]) < place(pair[1])), "{text}");
}

#[test]
fn the_best_is_bold_only_where_that_is_wanted() {
    let summary = fixture::small();
    let groups = Group::all(&summary);
    let styled = tables(&groups, Options { width: 80, styled: true });
    let best = styled.lines().find(|line| line.contains("fresh/pooling-scan   ")).unwrap();
    assert!(best.starts_with("\u{1b}[1m"), "{best:?}");
    assert!(!tables(&groups, Options::default()).contains('\u{1b}'));
}

#[test]
fn text_cannot_steer_the_terminal() {
    let text = all(&fixture::odd(), 80);
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
}

#[test]
fn nothing_and_one_cell_are_tables_too() {
    let mut summary = fixture::small();
    summary.cells.truncate(1);
    assert!(all(&summary, 80).contains("best sound strategy: fresh/relink"));
    summary.cells.retain(|_| false);
    assert_eq!(all(&summary, 80), "");
    let mut group = fixture::small();
    group.cells.retain(|cell| cell.strategy == "control/none");
    let text = all(&group, 80);
    assert!(text.contains("no sound strategy has a time here"), "{text}");
    assert!(text.contains("not measured in this run: execute, reset, cycle"), "{text}");
}

#[test]
fn a_caveat_stands_below_figures_that_are_valid() {
    let mut summary = fixture::small();
    summary.cells[0].reason = Some("launch 3 was killed by signal 9".into());
    let text = all(&summary, 80);
    assert!(text.contains("fresh/relink: launch 3 was killed by signal 9"), "{text}");
    assert!(!text.contains("[4]"), "{text}");
}
