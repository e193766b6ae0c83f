//! The line editor of a terminal, in a thread of its own; what arrives is printed above the line being typed.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc as blocking};

use reedline::{
    ColumnarMenu, Completer, CompletionResult, Emacs, ExternalPrinter, FileBackedHistory, KeyCode, KeyModifiers,
    MenuBuilder as _, Prompt, PromptEditMode, PromptHistorySearch, Reedline, ReedlineEvent, ReedlineMenu, Signal, Span,
    Suggestion, default_emacs_keybindings,
};
use tokio::sync::mpsc;

use super::input::Typed;
use super::talk::Printer;
use crate::api::Shown;
use crate::face::Stop;
use crate::face::screen::Screen;

/// Lines that can be fetched back with Up; they are kept in memory only.
const HISTORY: usize = 1000;

/// Lines that wait to be printed.
const QUEUE: usize = 1024;

const MENU: &str = "completion";

/// What the editor shows and completes; changed between two lines.
#[derive(Default)]
struct Offered {
    prompt: Shown,
    words: Vec<Shown>,
}

pub(super) struct Terminal {
    screen: Screen,
    typed: mpsc::Receiver<Typed>,
    /// Lets the editor ask for the next line.
    go: blocking::Sender<()>,
    waiting: bool,
    lines: blocking::Sender<String>,
    shown: Arc<Mutex<Offered>>,
    stop: Arc<AtomicBool>,
    ended: tokio::sync::oneshot::Receiver<()>,
}

impl Terminal {
    /// `None` where the thread can't be started.
    pub(super) fn start(screen: Screen) -> Option<Self> {
        let printer = ExternalPrinter::new(QUEUE);
        let external = printer.sender();
        let (lines, to_print) = blocking::channel::<String>();
        // The printer's queue is bounded and drained only while a line is being typed: this thread waits for it.
        let printing = std::thread::Builder::new().name("printer".to_owned());
        printing.spawn(move || to_print.into_iter().try_for_each(|line| external.send(line))).ok()?;

        let shown = Arc::new(Mutex::new(Offered::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let (give, typed) = mpsc::channel(1);
        let (go, may_go) = blocking::channel();
        let (end, ended) = tokio::sync::oneshot::channel();
        let (editing, breaking) = (Arc::clone(&shown), Arc::clone(&stop));
        let editor = std::thread::Builder::new().name("editor".to_owned());
        editor
            .spawn(move || {
                let mut editor = editor_of(printer, &editing, breaking, screen.colour);
                edit(&mut editor, &editing, &may_go, &give);
                let _ = end.send(());
            })
            .ok()?;
        Some(Self { screen, typed, go, waiting: true, lines, shown, stop, ended })
    }

    pub(super) fn screen(&self) -> Screen {
        self.screen
    }

    pub(super) fn printer(&self) -> Printer {
        let lines = self.lines.clone();
        Box::new(move |text| lines.send(text.to_string()).map_err(|_| Stop::Closed))
    }

    pub(super) async fn next(&mut self) -> Typed {
        let typed = self.typed.recv().await.unwrap_or(Typed::Left);
        self.waiting = true;
        typed
    }

    pub(super) fn describe(&mut self, prompt: Shown, words: Vec<Shown>) {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Offered { prompt, words };
        if std::mem::take(&mut self.waiting) {
            let _ = self.go.send(());
        }
    }

    pub(super) async fn stop(self) {
        let Self { typed, go, stop, ended, .. } = self;
        stop.store(true, Ordering::Relaxed);
        drop((typed, go));
        let _ = tokio::time::timeout(std::time::Duration::from_secs(1), ended).await;
    }
}

fn editor_of(
    printer: ExternalPrinter<String>,
    shown: &Arc<Mutex<Offered>>,
    stop: Arc<AtomicBool>,
    colour: bool,
) -> Reedline {
    let mut keys = default_emacs_keybindings();
    let complete = vec![ReedlineEvent::Menu(MENU.to_owned()), ReedlineEvent::MenuNext];
    keys.add_binding(KeyModifiers::NONE, KeyCode::Tab, ReedlineEvent::UntilFound(complete));
    let menu = ReedlineMenu::EngineCompleter(Box::new(ColumnarMenu::default().with_name(MENU)));
    let editor = Reedline::create()
        .with_external_printer(printer)
        .with_break_signal(stop)
        .use_bracketed_paste(true)
        .with_ansi_colors(colour)
        .with_completer(Box::new(Words(Arc::clone(shown))))
        .with_quick_completions(true)
        .with_partial_completions(true)
        .with_menu(menu)
        .with_edit_mode(Box::new(Emacs::new(keys)));
    match FileBackedHistory::new(HISTORY) {
        Ok(history) => editor.with_history(Box::new(history)),
        Err(_) => editor,
    }
}

fn edit(
    editor: &mut Reedline,
    shown: &Arc<Mutex<Offered>>,
    may_go: &blocking::Receiver<()>,
    give: &mpsc::Sender<Typed>,
) {
    while may_go.recv().is_ok() {
        let place = Place(Arc::clone(shown));
        let typed = match editor.read_line(&place) {
            Ok(Signal::Success(line)) => Typed::Line(line),
            Ok(_) | Err(_) => Typed::Left,
        };
        let left = matches!(typed, Typed::Left);
        if give.blocking_send(typed).is_err() || left {
            return;
        }
    }
}

/// The prompt: where typed text goes, in words.
struct Place(Arc<Mutex<Offered>>);

impl Prompt for Place {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        Cow::Owned(self.0.lock().unwrap_or_else(PoisonError::into_inner).prompt.to_string())
    }
    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }
    fn render_prompt_indicator(&self, _mode: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed("> ")
    }
    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        Cow::Borrowed("| ")
    }
    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        Cow::Owned(format!("(search: {}) ", search.term))
    }
}

/// Completes the word before the cursor.
struct Words(Arc<Mutex<Offered>>);

impl Completer for Words {
    fn complete(&mut self, line: &str, pos: usize) -> CompletionResult {
        let before = line.get(..pos).unwrap_or(line);
        let start = before.rfind(char::is_whitespace).map_or(0, |at| at + 1);
        let word = before.get(start..).unwrap_or_default();
        if word.is_empty() {
            return CompletionResult::fresh(Vec::new());
        }
        let shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = shown.words.iter().filter(|known| known.starts_with(word));
        let suggestions: Vec<Suggestion> = fits
            .map(|known| Suggestion {
                value: known.to_string(),
                span: Span { start, end: pos },
                append_whitespace: true,
                ..Suggestion::default()
            })
            .collect();
        CompletionResult::fresh(suggestions)
    }
}
