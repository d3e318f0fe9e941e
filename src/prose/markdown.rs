//! Text that came from elsewhere, as Markdown.

use super::{code_spans, printable};

/// A sentence whose backticks mark code and in which nothing else is markup.
pub fn sentence(text: &str) -> String {
    let spans = code_spans(text).into_iter();
    spans.map(|(is_code, part)| if is_code { code(part) } else { escape(part) }).collect()
}

/// A name as code, which GitHub neither links nor emphasises.
pub fn code(text: &str) -> String {
    let text = printable(text).replace('`', "'").replace('|', "\\|");
    format!("`{text}`")
}

/// Prose in which nothing is markup: a reason may hold `*`, `<` or `|`.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' => {
                out.push('\\');
                out.push(c);
            }
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            c => out.push(c),
        }
    }
    out
}
