//! Symbols and what stands for them: `--define=SYMBOL=value`.

use std::collections::HashMap;

use super::lexer::{Kind, Lexer, Token};

/// Values by symbol. A value is not looked up again, so that no definition can go round.
#[derive(Debug, Default)]
pub(super) struct Symbols<'a> {
    values: HashMap<&'a str, (Kind, &'a str)>,
}

impl<'a> Symbols<'a> {
    /// From now on `value` stands for `symbol`: a number, a `"text"`, a command in back-ticks or an address, if it is
    /// one of these and nothing else; otherwise a word, whatever is in it.
    pub(super) fn define(&mut self, symbol: &'a str, value: &'a str) {
        let mut lexer = Lexer::new(value);
        let token = lexer.token();
        let kind = match token.kind {
            Kind::Integer | Kind::Hex | Kind::Float | Kind::Text | Kind::Command | Kind::Address(_)
                if token.text == value =>
            {
                token.kind
            }
            _ => Kind::Word,
        };
        self.values.insert(symbol, (kind, value));
    }

    /// `token`, or what stands for it.
    pub(super) fn resolve(&self, token: Token<'a>) -> Token<'a> {
        match self.values.get(token.text) {
            Some(&(kind, text)) if token.kind == Kind::Word => {
                Token { kind, text, symbol: Some(token.text), ..token }
            }
            _ => token,
        }
    }
}
