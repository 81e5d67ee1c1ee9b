//! A terminal that is ours for a while.

use std::io::{self, Write as _};
use std::time::Duration;

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use crossterm::style::Print;
use crossterm::terminal::{
    self, Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{execute, queue};
use unicode_width::UnicodeWidthChar as _;

use super::Order;

/// What the operator wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    End,
    Order(Order),
    Resized,
}

/// The alternate screen; the terminal is as before when it goes.
#[derive(Debug)]
pub(super) struct Screen(());

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// What the terminal meets.
    pub(super) fn open() -> io::Result<Self> {
        enable_raw_mode()?;
        // From here on it is given back, whatever happens.
        let screen = Self(());
        execute!(io::stdout(), EnterAlternateScreen, Hide)?;
        Ok(screen)
    }

    /// Shows as much of `text` as there is room for.
    ///
    /// # Errors
    /// What the terminal meets.
    pub(super) fn draw(&mut self, text: &str) -> io::Result<()> {
        let (columns, rows) = terminal::size()?;
        let plain = anstream::adapter::strip_str(text).to_string();
        let mut out = io::stdout().lock();
        for (row, line) in (0..rows).zip(plain.lines()) {
            queue!(out, MoveTo(0, row), Print(cut(line, columns.into())), Clear(ClearType::UntilNewLine))?;
        }
        let used = u16::try_from(plain.lines().count()).unwrap_or(rows);
        if used < rows {
            queue!(out, MoveTo(0, used), Clear(ClearType::FromCursorDown))?;
        }
        out.flush()
    }

    /// Waits for a key, but no longer than `patience`.
    ///
    /// # Errors
    /// What the terminal meets.
    pub(super) fn key(&mut self, patience: Duration) -> io::Result<Option<Key>> {
        let deadline = std::time::Instant::now() + patience;
        loop {
            if !event::poll(deadline.saturating_duration_since(std::time::Instant::now()))? {
                return Ok(None);
            }
            if let Some(key) = meaning(&event::read()?) {
                return Ok(Some(key));
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // What cannot be given back is the terminal's own trouble: there is nobody left to tell.
        let _ = execute!(io::stdout(), Show, LeaveAlternateScreen);
        let _ = disable_raw_mode();
    }
}

fn meaning(event: &Event) -> Option<Key> {
    match event {
        Event::Resize(..) => Some(Key::Resized),
        Event::Key(key) if key.kind != KeyEventKind::Release => match key.code {
            KeyCode::Char('q') | KeyCode::Esc => Some(Key::End),
            // In raw mode the terminal sends no SIGINT.
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Key::End),
            KeyCode::Char('p') => Some(Key::Order(Order::Packets)),
            KeyCode::Char('b') => Some(Key::Order(Order::Bits)),
            KeyCode::Char('d') => Some(Key::Order(Order::Drops)),
            KeyCode::Char('n') => Some(Key::Order(Order::Name)),
            _ => None,
        },
        _ => None,
    }
}

/// The part of a line that fits.
fn cut(line: &str, columns: usize) -> String {
    let mut left = columns;
    line.chars()
        .take_while(|c| {
            let width = c.width().unwrap_or_default();
            let fits = width <= left;
            left = left.saturating_sub(width);
            fits
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossterm::event::KeyEvent;

    #[test]
    fn lines_are_cut_where_the_screen_ends() {
        assert_eq!(cut("abcdef", 3), "abc");
        assert_eq!(cut("網路ab", 3), "網");
        assert_eq!(cut("ab", 3), "ab");
    }

    #[test]
    fn keys_end_and_choose() {
        let key = |code, modifiers| meaning(&Event::Key(KeyEvent::new(code, modifiers)));
        assert_eq!(key(KeyCode::Char('q'), KeyModifiers::NONE), Some(Key::End));
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Key::End));
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::NONE), None);
        assert_eq!(key(KeyCode::Char('d'), KeyModifiers::NONE), Some(Key::Order(Order::Drops)));
    }
}
