//! Text within a number of columns of a terminal.

use unicode_width::UnicodeWidthStr;

/// Lines of fields in columns that are as wide as their widest field.
pub struct Grid {
    lines: Vec<Vec<String>>,
    widths: Vec<usize>,
    words: usize,
    gap: usize,
}

impl Grid {
    /// Columns with a `gap` between them; the first of them hold `words`, which begin at the left, the others figures.
    pub fn new(lines: Vec<Vec<String>>, words: usize, gap: usize) -> Grid {
        let columns = lines.first().map_or(0, Vec::len);
        let width = |column: usize| lines.iter().map(|line| line[column].width()).max().unwrap_or(0);
        Grid { widths: (0..columns).map(width).collect(), lines, words, gap }
    }

    /// Characters of a line.
    pub fn width(&self) -> usize {
        self.widths.iter().sum::<usize>() + self.gap * self.widths.len().saturating_sub(1)
    }

    /// All lines, each filled up with spaces.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let gap = " ".repeat(self.gap);
        self.lines.iter().map(move |line| {
            let padded = line.iter().zip(&self.widths).enumerate().map(|(column, (field, width))| {
                let spaces = " ".repeat(width - field.width());
                if column < self.words { format!("{field}{spaces}") } else { format!("{spaces}{field}") }
            });
            padded.collect::<Vec<_>>().join(&gap)
        })
    }
}

/// Cuts a line's end off, leaving a sign that something is missing.
pub fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.into();
    }
    let mut out = String::new();
    for c in text.chars() {
        if out.width() + c.to_string().width() >= width {
            break;
        }
        out.push(c);
    }
    out + "…"
}

/// Cuts a name in its middle: the family and the end of the variant tell more than the letters between.
pub fn middle(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.into();
    }
    let chars: Vec<char> = text.chars().collect();
    let half = width.saturating_sub(1);
    let (mut head, mut tail) = (String::new(), String::new());
    for c in &chars {
        if head.width() + c.to_string().width() > half / 2 {
            break;
        }
        head.push(*c);
    }
    for c in chars.iter().rev() {
        if head.width() + tail.width() + c.to_string().width() > half {
            break;
        }
        tail.insert(0, *c);
    }
    format!("{head}…{tail}")
}

/// Breaks prose at spaces; empty prose is no line; continuation lines begin with `indent`. A word longer than a line is cut.
pub fn wrap(text: &str, width: usize, indent: &str) -> String {
    let mut out = String::new();
    let mut line = String::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let separator = if line.trim().is_empty() { 0 } else { 1 };
        if separator == 1 && line.width() + separator + word.width() > width {
            out += &format!("{line}\n");
            line = indent.to_owned();
        } else if separator == 1 {
            line.push(' ');
        }
        line += word;
        line = cut(&line, width);
    }
    if !line.trim().is_empty() {
        out += &format!("{line}\n");
    }
    // Spaces that must not break are for this function; a terminal's reader searches for plain ones.
    out.replace('\u{a0}', " ")
}

/// Breaks prose behind a head, under whose end the continuation lines begin.
pub fn hanging(head: &str, text: &str, width: usize) -> String {
    let indent = " ".repeat(head.width());
    let room = width.saturating_sub(head.width()).max(1);
    let lines = wrap(text, room, "");
    if lines.is_empty() {
        return format!("{}\n", head.trim_end());
    }
    let lines = lines.lines().enumerate();
    lines.map(|(i, line)| format!("{}{line}\n", if i == 0 { head } else { &indent })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_in_their_middle() {
        assert_eq!(middle("fresh/pooling-resident", 22), "fresh/pooling-resident");
        assert_eq!(middle("fresh/pooling-resident", 11), "fresh…ident");
        assert_eq!(middle("漢字漢字", 5), "漢…字");
    }

    #[test]
    fn prose_hangs_behind_its_head() {
        assert_eq!(hanging("  why  ", "one two three", 14), "  why  one two\n       three\n");
        assert_eq!(hanging("why  ", "", 14), "why\n");
    }

    #[test]
    fn prose_breaks_at_spaces_only() {
        assert_eq!(wrap("one two three", 8, "  "), "one two\n  three\n");
        assert_eq!(wrap("interval of 99\u{a0}%", 14, ""), "interval of\n99 %\n");
        assert_eq!(wrap("unbreakable", 6, ""), "unbre…\n");
        assert_eq!(wrap("", 6, ""), "");
    }
}
