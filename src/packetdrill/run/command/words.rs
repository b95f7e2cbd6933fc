//! From a line for the shell to commands and their words: quotes, comments, `;`, `&&`, `||`, `|`, redirections and
//! `$((…))`. Whatever else a shell has is left as it is written, so that the command is refused with it.

use super::Refused;

/// A command without operators.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Simple {
    /// Its name and its arguments, unquoted.
    pub(super) words: Vec<String>,
    /// Where `>` leads.
    pub(super) to: Option<String>,
    /// Whether it is in a pipe.
    pub(super) piped: bool,
}

impl Simple {
    /// As it was written, more or less.
    pub(super) fn text(&self) -> String {
        let mut text = self.words.join(" ");
        if let Some(to) = &self.to {
            text = format!("{text} > {to}");
        }
        if text.chars().count() > 100 {
            text = text.chars().take(99).collect::<String>() + "…";
        }
        text
    }
}

/// What stands between two commands, or at the end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    Next,
    Or,
    Pipe,
}

/// The commands that run when each of them succeeds: what is behind `||` does not.
///
/// # Errors
/// A quote that does not end, or arithmetic that cannot be done.
pub(super) fn split(text: &str) -> Result<Vec<Simple>, Refused> {
    let mut reader = Reader { rest: text.replace("\\\n", " ").chars().collect::<Vec<_>>(), at: 0 };
    let mut commands = Vec::new();
    let mut before = Operator::Next;
    while reader.at < reader.rest.len() {
        let (mut simple, after) = reader.command()?;
        simple.piped = before == Operator::Pipe || after == Operator::Pipe;
        let empty = simple.words.is_empty() && simple.to.is_none();
        if before != Operator::Or && !empty {
            commands.push(simple);
        }
        // Behind `a || b |` still nothing runs.
        before = if before == Operator::Or && after == Operator::Pipe { before } else { after };
    }
    Ok(commands)
}

struct Reader {
    rest: Vec<char>,
    at: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.rest.get(self.at).copied()
    }

    fn take(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn take_if(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn command(&mut self) -> Result<(Simple, Operator), Refused> {
        let mut simple = Simple::default();
        loop {
            let Some(c) = self.peek() else { return Ok((simple, Operator::Next)) };
            match c {
                '\n' | ';' => {
                    self.at += 1;
                    return Ok((simple, Operator::Next));
                }
                '&' => {
                    self.at += 1;
                    self.take_if('&');
                    return Ok((simple, Operator::Next));
                }
                '|' => {
                    self.at += 1;
                    let or = self.take_if('|');
                    return Ok((simple, if or { Operator::Or } else { Operator::Pipe }));
                }
                '#' => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                }
                '>' => self.redirection(&mut simple)?,
                c if c.is_whitespace() => self.at += 1,
                _ => {
                    let word = self.word()?;
                    let descriptor = matches!(word.as_str(), "1" | "2") && self.peek() == Some('>');
                    if !descriptor {
                        simple.words.push(word);
                    } else if word == "2" {
                        self.redirection(&mut Simple::default())?;
                    }
                }
            }
        }
    }

    /// `> file`, `>> file`, `>&1`.
    fn redirection(&mut self, simple: &mut Simple) -> Result<(), Refused> {
        self.at += 1;
        self.take_if('>');
        let copy = self.take_if('&');
        while self.peek().is_some_and(|c| c == ' ' || c == '\t') {
            self.at += 1;
        }
        let to = self.word()?;
        if !copy {
            simple.to = Some(to);
        }
        Ok(())
    }

    fn word(&mut self) -> Result<String, Refused> {
        let mut word = String::new();
        while let Some(c) = self.peek() {
            match c {
                c if c.is_whitespace() || ";&|>".contains(c) => break,
                '\'' => {
                    self.at += 1;
                    self.until('\'', &mut word, false)?;
                }
                '"' => {
                    self.at += 1;
                    self.until('"', &mut word, true)?;
                }
                '\\' => {
                    self.at += 1;
                    word.extend(self.take());
                }
                '$' => self.dollar(&mut word)?,
                c => {
                    self.at += 1;
                    word.push(c);
                }
            }
        }
        Ok(word)
    }

    fn until(&mut self, end: char, word: &mut String, expands: bool) -> Result<(), Refused> {
        loop {
            match self.peek() {
                None => return Err(Refused::Faulty(format!("a command's {end} has no end"))),
                Some('$') if expands => self.dollar(word)?,
                Some(c) => {
                    self.at += 1;
                    if c == end {
                        return Ok(());
                    }
                    word.push(c);
                }
            }
        }
    }

    /// `$((…))`; any other `$` is a letter.
    fn dollar(&mut self, word: &mut String) -> Result<(), Refused> {
        self.at += 1;
        if !self.rest[self.at..].starts_with(&['(', '(']) {
            word.push('$');
            return Ok(());
        }
        let text: String = self.rest[self.at + 2..].iter().take_while(|c| **c != '\n').collect();
        let text = text.split("))").next().unwrap_or_default().to_owned();
        // A shell may know better.
        let unknown = || Refused::Unknown(format!("a command's $(({text})) is no product of numbers"));
        let value = product(&text).ok_or_else(unknown)?;
        self.at += 2 + text.chars().count() + 2;
        word.push_str(&value.to_string());
        Ok(())
    }
}

/// `15*1024*1024`.
fn product(text: &str) -> Option<u64> {
    text.split('*').try_fold(1u64, |product, factor| product.checked_mul(factor.trim().parse().ok()?))
}

#[cfg(test)]
mod tests;
