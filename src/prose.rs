//! Text that came from elsewhere, made safe to write: names, reasons, sentences.

pub mod markdown;

/// A share as a percentage: `99 %`, `99.5 %`, the space being one that does not break.
pub fn percent(share: f64) -> String {
    format!("{}\u{a0}%", (share * 1e4).round() / 1e2)
}

/// Splits prose at its backticks; `true` marks what stood between a pair of them. An unpaired one is only a character.
pub fn code_spans(text: &str) -> Vec<(bool, &str)> {
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return vec![(false, text)];
    }
    parts
        .into_iter()
        .enumerate()
        .map(|(i, part)| (i % 2 == 1, part))
        .filter(|(_, part)| !part.is_empty())
        .collect()
}

/// `a`, `a and b`, `a, b and c`.
pub fn enumerated(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Distinct values in the order in which they come.
pub fn distinct<T: PartialEq>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    grouped(values.into_iter().map(|value| (value, ()))).into_iter().map(|(value, _)| value).collect()
}

/// Values by what they have in common, in the order in which they come: what holds for many is said once.
pub fn grouped<K: PartialEq, V>(values: impl IntoIterator<Item = (K, V)>) -> Vec<(K, Vec<V>)> {
    let mut groups: Vec<(K, Vec<V>)> = Vec::new();
    for (key, value) in values {
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, values)) => values.push(value),
            None => groups.push((key, vec![value])),
        }
    }
    groups
}

/// What was probably meant: a name, a group, or the name whose part after the slash it was. Nothing, where nothing is near.
pub fn nearest(pattern: &str, names: &[String]) -> String {
    let typed: String = pattern.chars().filter(|c| !"*?".contains(*c)).collect::<String>().to_lowercase();
    let mut tries: Vec<(&str, &str)> = Vec::new();
    for name in names {
        // `mincore` is as good a try as `dirty/mincore`, and `dirty` is a pattern of its own.
        let (group, variant) = name.split_once('/').unwrap_or((name, name));
        tries.extend([(group, group), (name, name), (variant, name)]);
    }
    let near = tries
        .into_iter()
        .map(|(word, meant)| (strsim::damerau_levenshtein(&typed, &word.to_lowercase()), meant));
    // With half of it to change, it may be anything.
    let near = near.filter(|(distance, _)| 2 * distance < typed.chars().count().max(3));
    let nearest = near.min_by_key(|(distance, _)| *distance);
    nearest.map(|(_, meant)| format!("; did you mean `{meant}`?")).unwrap_or_default()
}

/// Replaces control characters, which would break a terminal's line or an XML file, by a visible sign.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') { '\u{fffd}' } else { c })
        .collect()
}

/// Text between the tags of XML or HTML, or between the quotes of an attribute.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backticks_mark_code_in_pairs() {
        assert_eq!(code_spans("`a/b` takes 2x"), [(true, "a/b"), (false, " takes 2x")]);
        assert_eq!(code_spans("one ` alone"), [(false, "one ` alone")]);
        assert_eq!(grouped([(1, 'a'), (2, 'b'), (1, 'c')]), [(1, vec!['a', 'c']), (2, vec!['b'])]);
        assert_eq!(distinct([2, 1, 2]), [2, 1]);
        assert_eq!(enumerated(&["a".into(), "b".into(), "c".into()]), "a, b and c");
        assert_eq!(percent(0.995), "99.5\u{a0}%");
    }
}
