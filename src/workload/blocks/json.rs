//! Blocks in JSON, as block explorers and `bitcoin-cli` hand them out: hex in a string, in an array of them, or in the
//! member of an object that such programs use for it.

use std::io::{BufRead, BufReader};
use std::path::Path;

use serde_json::Value;

use super::super::packed::Limited;
use super::error::{BlocksError, Position, Take};
use super::hex;

/// Members of an object that hold a block, the likeliest first: a reply of Bitcoin Core's RPC has it in `result`, others in
/// one named for what it is.
const MEMBERS: [&str; 8] = ["result", "raw_block", "rawblock", "rawBlock", "hex", "raw", "block", "data"];

/// The deepest that a block is looked for.
const MOST_DEPTH: usize = 4;

/// The most bytes of JSON that are taken: a value is in memory as a whole.
const MOST_BYTES: u64 = 256 << 20;

/// Hands over the blocks of the values in `text`, which follow one another, until the end or until `take` wants no more.
pub(super) fn read(path: &Path, text: impl BufRead, take: Take) -> Result<(), BlocksError> {
    let text = Limited::new(text, MOST_BYTES);
    let mut number = 0;
    for value in serde_json::Deserializer::from_reader(BufReader::new(text)).into_iter::<Value>() {
        let value = value.map_err(|error| match error.is_io() {
            true => BlocksError::io(path, error.into()),
            false => BlocksError::Json { path: path.to_owned(), cause: error.to_string() },
        })?;
        let mut found = Vec::new();
        collect(&value, MOST_DEPTH, &mut found);
        if found.is_empty() {
            return Err(BlocksError::JsonWithout { path: path.to_owned(), members: MEMBERS.join(", ") });
        }
        for digits in found {
            number += 1;
            let at = Position::Item(number).of(path);
            let bytes = hex::decode(digits, &at)?;
            if !take(at, bytes)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The hex of the blocks in a value.
fn collect<'a>(value: &'a Value, depth: usize, into: &mut Vec<&'a str>) {
    match value {
        Value::String(text) if hex::is_long(text) => into.push(text),
        Value::Array(values) if depth > 0 => values.iter().for_each(|value| collect(value, depth - 1, into)),
        Value::Object(members) if depth > 0 => {
            for name in MEMBERS {
                let before = into.len();
                if let Some(value) = members.get(name) {
                    collect(value, depth - 1, into);
                }
                if into.len() > before {
                    return;
                }
            }
            // Keyed by hash, as Blockchair does it: {"data": {"<hash>": {"raw_block": "..."}}}.
            for (_, value) in members.iter().filter(|(name, value)| name.len() == 64 && value.is_object()) {
                collect(value, depth - 1, into);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Result<Vec<Vec<u8>>, BlocksError> {
        let mut blocks = Vec::new();
        read(Path::new("a.json"), text.as_bytes(), &mut |_, bytes| {
            blocks.push(bytes);
            Ok(true)
        })?;
        Ok(blocks)
    }

    #[test]
    fn blocks_are_found_where_programs_put_them() {
        let hex = "ab".repeat(81);
        let hash = "0".repeat(64);
        for text in [
            format!("\"{hex}\""),
            format!("{{\"result\": \"{hex}\", \"error\": null, \"id\": 1}}"),
            format!("[\"0x{hex}\"]"),
            format!("{{\"height\": 7, \"hex\": \"{}\"}}", hex.to_uppercase()),
            format!("{{\"data\": {{\"{hash}\": {{\"raw_block\": \"{hex}\"}}}}}}"),
        ] {
            assert_eq!(found(&text).unwrap(), [vec![0xab; 81]], "{text}");
        }
        let two = format!("{{\"result\":\"{hex}\"}}\n{{\"result\":\"{hex}\"}}\n");
        assert_eq!(found(&two).unwrap().len(), 2, "a value per line");
    }

    #[test]
    fn json_without_a_block_says_how_to_get_one() {
        for text in ["{}", "[1]", "{\"tx\": [{\"hex\": \"00\"}]}", "\"ab\""] {
            let error = found(text).unwrap_err().to_string();
            assert!(error.contains("getblock HASH 0"), "{error}");
        }
        let error = found("{\"hex\": ").unwrap_err().to_string();
        assert!(error.contains("a.json") && error.contains("EOF"), "{error}");
    }
}
