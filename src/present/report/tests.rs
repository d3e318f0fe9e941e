use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::analyse::standing::standings;
use crate::analyse::summary::{ByMean, Ratio, Summary};
use crate::claims::Verdict;
use crate::claims::report::Checked;
use crate::determinism::{self, matrix};

use crate::present::book::{Facts, again, soundness};
use crate::present::fixture;
use crate::startup;

fn written(facts: &Facts, summary: &Summary) -> (Vec<String>, String, String) {
    written_of(material(facts, summary))
}

/// A run without anything beside it, of which nothing was sampled.
fn material<'a>(facts: &'a Facts, summary: &'a Summary) -> Material<'a> {
    Material {
        facts,
        summary,
        rows: &[],
        distributions: &[],
        landscape: None,
        startup: None,
        determinism: &[],
        claims: &[],
        policies: &[],
        serving: None,
        appendix: None,
    }
}

/// Names of the files, `report.md` and `report.html`, with the samples that the summary's cells may have had.
fn written_of(material: Material) -> (Vec<String>, String, String) {
    let (rows, distributions) = (fixture::rows(material.summary), fixture::distributions(material.summary));
    let material = Material { rows: &rows, distributions: &distributions, ..material };
    let dir = tempfile::tempdir().unwrap();
    let files = write(&dir.path().join("new/folder"), material).unwrap();
    assert!(files.iter().all(|file| file.is_file()));
    let read = |name: &str| {
        let path = files.iter().find(|file| file.ends_with(name)).unwrap();
        fs::read_to_string(path).unwrap()
    };
    let names = files.iter().map(|file| file.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    (names, read("report.md"), read("report.html"))
}

/// The page without its drawings, its stylesheet and its script, which have tests of their own.
fn without_drawings(page: &str) -> String {
    let mut out = String::new();
    let mut rest = page;
    while let Some(start) =
        ["<svg role=", "<style>", "<script>"].iter().filter_map(|tag| rest.find(tag)).min()
    {
        let tag = &rest[start + 1..start + 1 + rest[start + 1..].find([' ', '>']).unwrap()];
        let end_tag = &*format!("</{tag}>");
        let end = start + rest[start..].find(end_tag).unwrap();
        out += &rest[..start];
        out += "(cut)";
        rest = &rest[end + end_tag.len()..];
    }
    out + rest
}

#[test]
fn the_files_of_a_small_run() {
    let (names, markdown, html) = written(&fixture::facts(), &fixture::small());
    insta::assert_snapshot!(names.join("\n"));
    insta::assert_snapshot!(markdown);
    // One element per line, so that a change can be seen in a diff.
    insta::assert_snapshot!(without_drawings(&html).replace("><", ">\n<"));
}

#[test]
fn a_report_is_the_same_twice() {
    let summary = fixture::small();
    assert!(written(&fixture::facts(), &summary) == written(&fixture::facts(), &summary));
}

#[test]
fn what_diverged_has_no_figure_anywhere() {
    let (_, markdown, html) = written(&fixture::facts(), &fixture::small());
    assert!(!markdown.contains("777"));
    // The drawings have a test of their own, and coordinates that may hold these digits.
    assert!(!without_drawings(&html).contains("777"));
}

#[test]
fn text_is_text() {
    let mut facts = fixture::facts();
    facts.title = "<h1>&\"title\"".into();
    facts.command = "a && b <c> ``` \u{1b}[0m".into();
    facts.machine = vec![("<k>".into(), "<v onload='x'>".into())];
    let (names, markdown, html) = written(&facts, &fixture::odd());
    let page = without_drawings(&html);
    for tag in ["<script", "<img", "<em>", "<b>", "<i>", "<u>", "<c>", "<k>", "<v "] {
        assert!(!page.contains(tag), "{tag}");
    }
    // In Markdown, names and the command are code, in which nothing is a tag.
    let prose: String =
        markdown.lines().map(|line| line.split('`').step_by(2).collect::<String>() + "\n").collect();
    for tag in ["<script", "<img", "<em>", "<v "] {
        assert!(!prose.contains(tag), "{tag} in {prose}");
    }
    for text in [&markdown, &html] {
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'));
    }
    assert!(
        names.iter().all(|name| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))),
        "{names:?}"
    );
}

#[test]
fn the_page_fetches_nothing_and_its_links_arrive() {
    let (_, _, html) = written(&fixture::facts(), &fixture::summary());
    // One script, and the policy knows no other.
    let script = html.split_once("<script>").unwrap().1.split_once("</script>").unwrap();
    assert!(
        !script.1.contains("<script") && !html.contains("onclick") && !html.contains("script-src 'unsafe")
    );
    let hash = STANDARD.encode(Sha256::digest(script.0));
    assert!(
        html.contains(&format!("script-src 'sha256-{hash}'"))
            || html.contains(&format!("script-src &#39;sha256-{hash}"))
    );
    assert!(!html.contains("url("));
    for attribute in ["src=\"", "href=\"http"] {
        assert!(!html.contains(attribute), "{attribute}");
    }
    let page = without_drawings(&html);
    let values = |attribute: &str| -> Vec<String> {
        page.split(attribute).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    };
    let ids = values(" id=\"");
    assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len(), "{ids:?}");
    for target in values("href=\"#") {
        assert!(ids.contains(&target), "#{target} leads nowhere");
    }
}

#[test]
fn an_interrupted_run_says_so_first() {
    let facts = Facts { interrupted: true, ..fixture::facts() };
    let (_, markdown, html) = written(&facts, &fixture::small());
    assert!(markdown.find("This run was interrupted").unwrap() < markdown.find("## ").unwrap());
    assert!(html.find("This run was interrupted").unwrap() < html.find("id=\"answer\"").unwrap());
}

#[test]
fn a_run_without_cells_is_a_report_too() {
    let mut summary = fixture::small();
    summary.cells.clear();
    let (names, markdown, html) = written(&Facts::default(), &summary);
    assert_eq!(names, ["report.md", "report.html"]);
    assert!(markdown.contains("This run holds no cells."));
    assert!(html.contains("This run holds no cells."));
}

#[test]
fn extremes_are_written() {
    let (names, _, html) = written(&fixture::facts(), &fixture::extreme());
    assert!(names.contains(&"overhead-extreme-values.svg".to_owned()), "{names:?}");
    assert!(!html.contains("NaN") && !html.contains("inf"), "{html}");
}

#[test]
fn who_takes_less_over_whole_traces_is_told_wherever_the_best_is() {
    let mut summary = fixture::small();
    let sentence = "Over whole traces `<b>` takes less";
    summary.standings = standings(&summary.cells);
    summary.standings[0].by_mean = Some(ByMean {
        strategy: "<b>".into(),
        ratio: Ratio { value: 4.0, low: 3.0, high: 5.0 },
        sentence: sentence.into(),
    });
    let (_, markdown, html) = written(&fixture::facts(), &summary);
    assert_eq!(markdown.matches(sentence).count(), 2, "with the answer and under the table");
    let escaped = "Over whole traces <code>&lt;b&gt;</code> takes less";
    assert_eq!(html.matches(escaped).count(), 2);
    let terminal = crate::present::table::tables(&Group::all(&summary), Default::default());
    assert!(terminal.contains("Over whole traces <b> takes less"), "{terminal}");
}

#[test]
fn parameters_tell_workloads_of_one_name_apart() {
    let mut summary = fixture::small();
    let mut more = summary.cells.clone();
    for cell in &mut more {
        cell.params.insert("blocks".into(), serde_json::json!(400));
    }
    summary.cells.append(&mut more);
    let groups = with_slugs(Group::all(&summary));
    let slugs: Vec<&str> = groups.iter().map(|(_, slug)| slug.as_str()).collect();
    assert_eq!(
        slugs,
        ["indexer-tiny-block-blocks-200-trace-regtest", "indexer-tiny-block-blocks-400-trace-regtest"]
    );
    let group = || fixture::small().cells;
    let mut same = fixture::small();
    same.cells.extend(group().into_iter().map(|mut cell| {
        cell.workload = "indexer tiny Block".into();
        cell
    }));
    let groups = with_slugs(Group::all(&same));
    assert_eq!(groups[1].1, "indexer-tiny-Block-2");
}

#[test]
fn soundness_counts_per_strategy() {
    let summary = fixture::summary();
    let groups = with_slugs(Group::all(&summary)).into_iter();
    let chapters: Vec<Chapter> = groups
        .map(|(group, slug)| Chapter { group, slug, figures: Vec::new(), absent: Vec::new() })
        .collect();
    let findings = soundness(&chapters);
    let of = |name: &str| findings.iter().find(|finding| finding.strategy == name).unwrap();
    assert_eq!((of("fresh/relink").equivalent, of("fresh/relink").total), (5, 5));
    let free = of("control/madv-free");
    assert_eq!((free.equivalent, free.otherwise.len(), free.otherwise[0].1.len()), (3, 1, 2));
    assert_eq!(of("remap/mmap").otherwise[0].1, ["indexer/tiny-block"]);
}

#[test]
fn what_the_folder_does_not_hold_has_no_section() {
    let (_, _, html) = written(&fixture::facts(), &fixture::small());
    for id in ["landscape", "places", "startup", "determinism", "profile", "policies", "claims"] {
        assert!(!html.contains(&format!("id=\"{id}\"")), "{id}");
        assert!(!html.contains(&format!("href=\"#{id}\"")), "{id}");
    }
}

#[test]
fn a_landscape_is_told_by_its_own_figures() {
    let (summary, landscape) = fixture::landscape();
    let cell = matrix::tests::cell("cgroup-v2", Some(512 << 20), "lazy", determinism::Outcome::Diverged);
    let claim = Checked {
        id: "pooling-3x".into(),
        source: "<a talk>".into(),
        statement: "pooling is three times faster".into(),
        quoted: "3x".into(),
        measured: "1.03x".into(),
        verdict: Verdict::DoesNotHold,
    };
    let policy = fixture::policies().pop().unwrap();
    let (names, markdown, html) = written_of(Material {
        landscape: Some(Terrain { landscape: &landscape, summary: &summary, beside: None }),
        startup: Some(&startup_report()),
        determinism: &[cell],
        claims: &[claim],
        policies: &[policy],
        serving: None,
        appendix: None,
        ..material(&fixture::facts(), &summary)
    });
    insta::assert_snapshot!(names.join("\n"));
    for id in ["landscape", "places", "startup", "determinism", "policies", "claims"] {
        assert!(html.contains(&format!("id=\"{id}\"")) && html.contains(&format!("href=\"#{id}\"")), "{id}");
    }
    assert!(html.contains("pooling is three times faster") && html.contains("&lt;a talk&gt;"));
    assert!(
        html.contains("instantiate 3.00\u{a0}ms") && html.contains("only 64 MiB of it was warm beforehand")
    );
    assert!(markdown.contains("## Startup"));
    assert!(html.contains("±17%") && html.contains("block 1 flushed other bytes"));
    assert!(markdown.contains("## Landscape") && markdown.contains("(determinism.svg)"));
}

fn startup_report() -> startup::report::Report {
    let spread = |p50| startup::report::Spread { p50, min: p50 / 2, max: p50 * 2, n: 3 };
    let stage = startup::report::StageCell {
        name: "instantiate".into(),
        time: spread(3_000_000),
        rss_bytes: Some(1 << 20),
    };
    startup::report::Report {
        schema: startup::SCHEMA,
        command: "resetbench startup".into(),
        machine: "any".into(),
        wasmtime: "48.0.8".into(),
        seed: 1,
        module_bytes: 3 << 20,
        interrupted: false,
        paths: vec![startup::report::PathCell {
            path: startup::Path::Snapshot,
            commit_bytes: 0,
            stages: vec![stage],
            total: spread(5_000_000),
        }],
        commits: vec![startup::report::CommitCell {
            commit: "populate".into(),
            bytes: 256 << 20,
            visible: false,
            time: Some(spread(9_000_000)),
            resident_bytes: Some(256 << 20),
            rss_bytes: Some(270 << 20),
            warmed_bytes: Some(64 << 20),
            reason: None,
        }],
    }
}

#[test]
fn a_landscape_beside_the_run_stands_behind_its_workloads() {
    let (places, landscape) = fixture::landscape();
    let (facts, summary) = (fixture::facts(), fixture::small());
    let of_its_own = Facts { command: "resetbench run --suite landscape".into(), ..fixture::facts() };
    let terrain = Terrain { landscape: &landscape, summary: &places, beside: Some(&of_its_own) };
    let (names, markdown, html) =
        written_of(Material { landscape: Some(terrain), ..material(&facts, &summary) });
    for name in ["overhead-indexer-tiny-block.svg", "dirty-stress-touch.svg", "portrait-stress-touch.svg"] {
        assert!(names.iter().any(|written| written == name), "{name}: {names:?}");
    }
    let at = |id: &str| html.find(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("no {id}"));
    assert!(at("answer") < at("indexer-tiny-block") && at("indexer-tiny-block") < at("landscape"));
    assert!(!html.contains("id=\"places\"") && html.contains("resetbench run --suite landscape"));
    assert!(markdown.contains("Measured by `resetbench run --suite landscape`."));
}

#[test]
fn a_profile_beside_the_run_has_a_section_with_its_pictures_and_links() {
    let (facts, summary, profile) =
        (fixture::facts(), fixture::small(), crate::profile::appendix::tests::report());
    let (names, markdown, html) =
        written_of(Material { appendix: Some(&profile), ..material(&facts, &summary) });
    for name in ["shares-indexer-lru.svg", "dirty-map-indexer-lru.png", "dirty-map-stress-touch.svg"] {
        assert!(names.iter().any(|written| written == name), "{name}: {names:?}");
    }
    assert!(html.contains("id=\"profile\"") && html.contains("href=\"#profile\""));
    for text in [&markdown, &html] {
        for link in [
            "profile/flame/lru.fresh-relink.svg",
            "profile/flame/diff-lru.fresh-relink-adaptive-hot-cold.svg",
            "profile/lru.profile.json",
        ] {
            assert!(text.contains(link), "{link}");
        }
        for other in ["javascript:", "up.svg", "/etc/x"] {
            assert!(!text.contains(other), "{other}");
        }
    }
    for text in [&markdown, &html] {
        assert!(
            text.contains("functions of the kernel have no names here") && text.contains("has no profile")
        );
    }
    assert!(html.contains("dirty pages") && markdown.contains("- dirty pages: "));
    assert!(!without_drawings(&html).contains("<lru>"));
}

#[test]
fn a_cell_is_measured_again_by_a_command_that_a_shell_takes() {
    let summary = fixture::small();
    let mut group = Group::all(&summary).remove(0);
    assert_eq!(
        again(&fixture::facts(), &group, "copy/full"),
        "resetbench run --host plain --profile full --seed 42 -w indexer/tiny-block -p blocks=200 -p trace=regtest -s copy/full"
    );
    assert!(again(&fixture::facts(), &group, "fresh/relink#2").ends_with("-p trace=regtest --aa"));
    let twin = again(&fixture::facts(), &group, "copy/full@main-1.0");
    assert!(twin.ends_with(" -s copy/full --against PROGRAM=main-1.0"), "{twin}");
    group.workload = "user/mine";
    assert_eq!(
        again(&fixture::facts(), &group, "it's/*"),
        "resetbench run --profile full --seed 42 -s 'it'\\''s/*'"
    );
}
