//! The report in a real browser: what no parser of HTML can see.
//!
//! The page is that of the committed reference run, drawn anew. Where there is no Chromium the test says so and passes;
//! CI installs one and names it in `CHROMIUM`, and what is named is not passed over.

mod devtools;

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::json;

use devtools::Browser;

/// Widths of a desktop and of a phone.
const WIDTHS: [u32; 2] = [1280, 400];

#[test]
fn the_report_works_in_a_browser() {
    let Some(program) = devtools::program() else {
        println!(
            "SKIPPED: no Chromium here; install Debian's package `chromium`, or set CHROMIUM to the program"
        );
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let page = report(folder.path());
    let mut browser = Browser::start(&program);
    for width in WIDTHS {
        let shown = browser.open(&page, width);
        assert!(shown.complaints.is_empty(), "at {width} px: {:?}", shown.complaints);
        assert_eq!(shown.requests, [format!("file://{}", page.display())], "at {width} px");
        no_sideways_scroll(&mut browser, width);
        sorting_works(&mut browser);
        filters_work(&mut browser);
        figures_have_words(&mut browser, 20);
        let profile = folder.path().join("profile/report.html").canonicalize().unwrap();
        let shown = browser.open(&profile, width);
        assert!(shown.complaints.is_empty(), "the profile at {width} px: {:?}", shown.complaints);
        assert_eq!(shown.requests, [format!("file://{}", profile.display())], "at {width} px");
        no_sideways_scroll(&mut browser, width);
        figures_have_words(&mut browser, 2);
    }
}

/// The report of the committed run, drawn from its rows, with a profile beside it.
fn report(folder: &Path) -> PathBuf {
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
    let mut runs: Vec<PathBuf> = fs::read_dir(&results)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("run.json").exists())
        .collect();
    runs.sort();
    let run = runs.pop().expect("a committed run");
    copy_data(&run, folder);
    let both = ["-w", "indexer/lru", "-s", "fresh/relink", "-s", "adaptive/hot-cold", "--seconds", "0.5"];
    let profile = ["profile", "--quiet", "--out"];
    let mut command = Command::cargo_bin("resetbench").unwrap();
    command.args(profile).arg(folder.join("profile")).args(both).assert().success();
    Command::cargo_bin("resetbench").unwrap().arg("report").arg(folder).assert().success();
    folder.join("report.html").canonicalize().unwrap()
}

/// Copies what was measured, and not what was drawn of it.
fn copy_data(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copy = to.join(path.file_name().unwrap());
        if path.is_dir() {
            fs::create_dir(&copy).unwrap();
            copy_data(&path, &copy);
        } else if path.extension().is_some_and(|extension| extension == "json" || extension == "gz") {
            fs::copy(&path, &copy).unwrap();
        }
    }
}

fn no_sideways_scroll(browser: &mut Browser, width: u32) {
    // Runs and machines of others have longer names than ours.
    let named = browser.evaluate(
        "[...document.querySelectorAll('.meta code')].map(e => e.textContent += '-and-more'.repeat(9)).length > 0",
    );
    assert_eq!(named, json!(true));
    // A scroll bar takes from the width of the page, not from that of the window.
    let root = "document.documentElement";
    let hidden = browser.evaluate(&format!("[innerWidth, {root}.scrollWidth - {root}.clientWidth]"));
    assert_eq!(hidden, json!([width, 0]), "the page scrolls sideways");
    // What is wider scrolls in a box of its own, which the keyboard reaches.
    let loose = browser.evaluate(
        "[...document.querySelectorAll('table, figure svg')].filter(e => !e.closest('.scroll[tabindex=\"0\"]')).length",
    );
    assert_eq!(loose, json!(0));
}

fn sorting_works(browser: &mut Browser) {
    // The first workload's table, by the column that holds the resident set, rising and then falling.
    let result = browser.evaluate(
        "(() => {
            const table = document.querySelectorAll('table.results')[1];
            const heads = [...table.querySelectorAll('thead th')];
            const column = heads.findIndex(head => head.textContent.startsWith('RSS'));
            const values = () => [...table.tBodies[0].rows]
                .map(row => row.cells[column].dataset.value).filter(value => value !== undefined).map(Number);
            const sorted = (list, sign) => list.every((value, i) => i === 0 || sign * (value - list[i - 1]) >= 0);
            const before = sorted(values(), 1);
            const button = heads[column].querySelector('button');
            button.focus();
            const focused = document.activeElement === button;
            button.click();
            const rising = sorted(values(), 1) && heads[column].getAttribute('aria-sort') === 'ascending';
            button.click();
            const falling = sorted(values(), -1) && heads[column].getAttribute('aria-sort') === 'descending';
            const last = table.tBodies[0].rows[table.tBodies[0].rows.length - 1];
            const controls = [...table.tBodies[1].rows].slice(1).every(row => row.dataset.family === 'control');
            return { before, focused, rising, falling, rows: values().length > 10,
                     missing: last.classList.contains('missing'), controls };
        })()",
    );
    let expected = json!({
        "before": false, "focused": true, "rising": true, "falling": true, "rows": true, "missing": true, "controls": true
    });
    assert_eq!(result, expected);
}

fn filters_work(browser: &mut Browser) {
    let result = browser.evaluate(
        "(() => {
            const form = document.querySelector('#filters');
            const visible = (selector) => [...document.querySelectorAll('table.results tr' + selector)]
                .filter(row => row.offsetParent !== null).length;
            const total = visible('[data-family]');
            const box = (selector) => form.querySelector(selector);
            const shown = !form.hidden && visible('[data-family=control]') > 0 && visible('[data-family=fresh]') > 0;
            box('[name=controls]').click();
            const controls = visible('[data-family=control]');
            box('[value=fresh]').click();
            const fresh = visible('[data-family=fresh]');
            const others = visible('[data-family=dirty]') > 0;
            box('[name=significant]').click();
            const unsure = visible('[data-verdict=same], table.results tr[data-verdict=unsure]');
            const said = /^\\d+ of \\d+ rows shown$/.test(form.querySelector('[role=status]').textContent);
            form.querySelector('[type=reset]').click();
            return new Promise(done => setTimeout(() => done(
                { shown, controls, fresh, others, unsure, said, all: visible('[data-family]') === total }), 50));
        })()",
    );
    let expected = json!({
        "shown": true, "controls": 0, "fresh": 0, "others": true, "unsure": 0, "said": true, "all": true
    });
    assert_eq!(result, expected);
}

/// So many figures at least.
fn figures_have_words(browser: &mut Browser, least: usize) {
    let result = browser.evaluate(
        "[...document.querySelectorAll('figure')].map(figure => [
            figure.querySelector('svg').getAttribute('aria-label').length > 10,
            figure.querySelector('figcaption').textContent.length > 80,
            figure.querySelector('details table tbody tr') !== null,
        ].every(Boolean))",
    );
    let figures = result.as_array().unwrap();
    assert!(figures.len() >= least && figures.iter().all(|complete| *complete == json!(true)), "{result}");
}
