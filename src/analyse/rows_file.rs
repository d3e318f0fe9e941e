//! Reads `rows.ndjson`, plain as it was measured, or as it was packed to be kept: `rows.ndjson.gz`, `rows.ndjson.zst`.
//!
//! Measuring writes each row as it comes, so that a run that was interrupted ends in half a line. That is expected, and
//! noted; any other line that is not a row means that the file was edited or is something else, and is refused by line.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

use crate::measure::row::{Phase, Row, SCHEMA, Status};
use crate::workload::packed::Packing;

/// The rows of a file, and what there is to tell about them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowsFile {
    pub rows: Vec<Row>,
    /// What was tolerated, to be passed on to the reader of the summary.
    pub notes: Vec<String>,
}

/// Why a file cannot be read as rows. The name and line come first, so that editors can jump to it.
#[derive(Debug, Error)]
pub enum RowsError {
    #[error("{file}: cannot be read")]
    Io { file: String, source: io::Error },
    #[error("{file}:{line}: not a row: {source}")]
    Line { file: String, line: usize, source: serde_json::Error },
    #[error(
        "{file}:{line}: written in schema {found}, and this program reads {SCHEMA}: use the release that wrote it"
    )]
    Schema { file: String, line: usize, found: u32 },
    #[error(
        "{file}:{line}: the status is ok, but there is no value: the row was edited or its writer is at fault"
    )]
    NoValue { file: String, line: usize },
    #[error("{file}: holds no rows")]
    Empty { file: String },
}

/// A row may carry the schema version; one that carries another than ours must not be guessed at.
#[derive(Deserialize)]
struct Versioned {
    schema: Option<u32>,
}

/// The names under which a run's rows are looked for, in this order: what was measured goes before what was packed.
pub const NAMES: [&str; 3] = ["rows.ndjson", "rows.ndjson.gz", "rows.ndjson.zst"];

/// The rows of a run's folder, if they were kept.
pub fn find(folder: &Path) -> Option<PathBuf> {
    NAMES.iter().map(|name| folder.join(name)).find(|path| path.exists())
}

/// Reads the rows of a file; how it is packed is told by its name.
pub fn read(path: &Path) -> Result<RowsFile, RowsError> {
    let file = path.display().to_string();
    let failed = |source| RowsError::Io { file: file.clone(), source };
    let open = BufReader::new(File::open(path).map_err(failed)?);
    let packing = match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => Packing::Gzip,
        Some("zst") => Packing::Zstd,
        _ => return parse(&file, open),
    };
    parse(&file, BufReader::new(packing.unpack(open, u64::MAX).map_err(failed)?))
}

/// Reads rows from anything, such as a decompressor; `file` is the name in messages.
pub fn parse(file: &str, mut input: impl BufRead) -> Result<RowsFile, RowsError> {
    let file = file.to_owned();
    let mut read = RowsFile::default();
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        match input.read_until(b'\n', &mut text) {
            Ok(0) => break,
            Ok(_) => {}
            Err(source) => return Err(RowsError::Io { file, source }),
        }
        let complete = text.ends_with(b"\n");
        if text.trim_ascii().is_empty() {
            continue;
        }
        match row(&text) {
            Ok((Some(found), _)) if found != SCHEMA => return Err(RowsError::Schema { file, line, found }),
            Ok((_, Ok(row))) if lacks_value(&row) => return Err(RowsError::NoValue { file, line }),
            Ok((_, Ok(row))) => read.rows.push(row),
            Err(source) if !complete && source.is_eof() => read.notes.push(format!(
                "{file}:{line}: the last line breaks off, as when a run is interrupted; the {} before it are used",
                if read.rows.len() == 1 { "row".to_owned() } else { format!("{} rows", read.rows.len()) },
            )),
            Ok((_, Err(source))) | Err(source) => return Err(RowsError::Line { file, line, source }),
        }
    }
    if read.rows.is_empty() {
        return Err(RowsError::Empty { file });
    }
    Ok(read)
}

/// The schema that the line claims, and the row; an error when it is not even an object.
fn row(text: &[u8]) -> Result<(Option<u32>, Result<Row, serde_json::Error>), serde_json::Error> {
    let versioned: Versioned = serde_json::from_slice(text)?;
    Ok((versioned.schema, serde_json::from_slice(text)))
}

fn lacks_value(row: &Row) -> bool {
    row.status == Status::Ok && row.phase != Phase::Verify && row.value.is_none() && row.samples.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = concat!(
        r#"{"run":"r","launch":0,"round":1,"strategy":"fresh/relink","workload":"synthetic/noop","#,
        r#""phase":"cycle","metric":"time","unit":"ns","value":12,"samples":[11,12,13],"status":"ok"}"#,
    );

    fn parsed(text: &str) -> Result<RowsFile, RowsError> {
        parse("rows.ndjson", text.as_bytes())
    }

    fn message(text: &str) -> String {
        parsed(text).unwrap_err().to_string()
    }

    #[test]
    fn one_row_per_line_and_blank_lines_are_nothing() {
        let read = parsed(&format!("{GOOD}\n\n{GOOD}\n")).unwrap();
        assert_eq!(read.rows.len(), 2);
        assert_eq!(read.rows[0].samples, [11, 12, 13]);
        assert!(read.notes.is_empty());
    }

    #[test]
    fn a_last_line_without_newline_is_a_row() {
        assert_eq!(parsed(&format!("{GOOD}\n{GOOD}")).unwrap().rows.len(), 2);
    }

    #[test]
    fn a_last_line_that_breaks_off_is_noted_wherever_it_does() {
        let whole = GOOD.replace("fresh/relink", "fresh/ré");
        for length in 1..whole.len() {
            let mut text = format!("{GOOD}\n").into_bytes();
            text.extend(&whole.as_bytes()[..length]);
            let read = parse("rows.ndjson", text.as_slice()).unwrap();
            assert_eq!(read.rows.len(), 1, "{length}");
            assert!(read.notes[0].starts_with("rows.ndjson:2: the last line breaks off"), "{:?}", read.notes);
        }
    }

    #[test]
    fn a_broken_line_elsewhere_is_refused_by_number() {
        assert!(
            message(&format!("{GOOD}\n{}\n{GOOD}\n", &GOOD[..40])).starts_with("rows.ndjson:2: not a row")
        );
        assert!(message(&format!("{GOOD}\n{}\n", &GOOD[..40])).starts_with("rows.ndjson:2: not a row"));
        assert!(message(&format!("{GOOD}\nhello")).starts_with("rows.ndjson:2: not a row"));
    }

    #[test]
    fn what_is_not_a_row_is_refused() {
        assert!(message("{\"run\":\"r\"}\n").contains("rows.ndjson:1: not a row: missing field"));
        assert!(message(&GOOD.replace("\"ns\"", "\"hours\"")).contains("unknown variant `hours`"));
        assert!(message(&GOOD.replace("12,\"samples\"", "-12,\"samples\"")).contains("not a row"));
        assert!(
            message(&GOOD.replace(r#""value":12,"samples":[11,12,13],"#, "")).contains("there is no value")
        );
        assert_eq!(message("\n"), "rows.ndjson: holds no rows");
        assert_eq!(message(""), "rows.ndjson: holds no rows");
    }

    #[test]
    fn another_schema_is_refused_and_ours_is_not() {
        let with = |schema: u32| GOOD.replacen('{', &format!("{{\"schema\":{schema},"), 1);
        assert!(parsed(&with(SCHEMA)).is_ok());
        assert!(message(&with(9)).starts_with("rows.ndjson:1: written in schema 9"));
        assert!(message("{\"schema\":9,\"strangely\":true}\n").contains("written in schema 9"));
    }

    #[test]
    fn keys_of_later_versions_are_ignored() {
        assert!(parsed(&GOOD.replacen('{', "{\"host\":\"ci-3\",", 1)).is_ok());
    }

    #[test]
    fn packed_rows_are_the_same_rows() {
        use std::io::Write as _;
        let folder = tempfile::tempdir().unwrap();
        let text = format!("{GOOD}\n{GOOD}\n");
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(text.as_bytes()).unwrap();
        // In two frames, as from two runs of zstd.
        let (head, tail) = text.as_bytes().split_at(text.len() / 2);
        let zst = [head, tail]
            .map(|part| ruzstd::encoding::compress_to_vec(part, ruzstd::encoding::CompressionLevel::Fastest))
            .concat();
        assert_eq!(find(folder.path()), None);
        for (name, bytes) in
            NAMES.into_iter().zip([text.clone().into_bytes(), gz.finish().unwrap(), zst]).rev()
        {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(find(folder.path()), Some(path.clone()), "what was measured goes first");
            assert_eq!(read(&path).unwrap(), parsed(&text).unwrap(), "{name}");
        }
    }

    #[test]
    fn a_file_that_is_not_packed_as_it_is_named_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for name in &NAMES[1..] {
            let path = folder.path().join(name);
            std::fs::write(&path, GOOD).unwrap();
            let shown = format!("{}: cannot be read", path.display());
            assert_eq!(read(&path).unwrap_err().to_string(), shown);
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = read(Path::new("/nonexistent/rows.ndjson")).unwrap_err();
        assert_eq!(error.to_string(), "/nonexistent/rows.ndjson: cannot be read");
    }
}
