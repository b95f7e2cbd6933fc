//! Headless Chromium as a child that ends.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::host::until;
use crate::picture::Picture;
use crate::program::{Scratch, child};

/// What is looked at of a page, from its upper left corner, CSS pixels.
pub(crate) const SIZE: (u32, u32) = (800, 600);

/// What the window is higher. Its own bars are taken off the height that a page is laid out and drawn for, 87 pixels of
/// them or, from when one comes that warns of the missing sandbox, 139; only for the picture is it stretched to the whole,
/// and where that bar comes just then what lies beneath has not been drawn.
const BARS: u32 = 200;

/// What Chromium made of an address.
pub(crate) struct Shown {
    /// Nothing where the page did not load.
    pub(crate) picture: Option<Picture>,
    /// The document as it stood then, as HTML.
    pub(crate) document: String,
    /// What it wrote on standard error.
    pub(crate) said: String,
}

/// Loads a page, lets its scripts run until half a second has passed for them, and looks.
pub(crate) fn show(url: &str, more: &[&str]) -> Shown {
    let dir = Scratch::new();
    let (out, err, png) = (dir.path("out"), dir.path("err"), dir.path("page.png"));
    let mut command: Command = child("chromium");
    command
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
        ])
        .args(["--disable-background-networking", "--disable-component-update", "--no-proxy-server"])
        // The clock of its scripts stands still while something is being fetched.
        .args(["--hide-scrollbars", "--virtual-time-budget=500", "--dump-dom"])
        .arg(format!("--window-size={},{}", SIZE.0, SIZE.1 + BARS))
        .arg(format!("--screenshot={}", png.display()))
        .arg(format!("--user-data-dir={}", dir.path("profile").display()))
        .args(more)
        .arg(url)
        .envs(["HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"].map(|name| (name, dir.path("home"))))
        .stdin(Stdio::null())
        .stdout(File::create(&out).unwrap())
        .stderr(File::create(&err).unwrap())
        // It starts many processes, which end with it.
        .process_group(0);
    let mut chromium = command.spawn().unwrap();
    until("chromium to end", || chromium.try_wait().unwrap().is_some());
    let status = chromium.wait().unwrap();
    // Those that have not noticed yet. Mostly there is none any more.
    let _ = kill_process_group(Pid::from_child(&chromium), Signal::KILL);
    let said = String::from_utf8_lossy(&fs::read(err).unwrap()).into_owned();
    assert!(status.success(), "{url}: {status}\n{said}");
    let picture = png.exists().then(|| Picture::read(&png).up_to(SIZE.1));
    Shown { picture, document: String::from_utf8_lossy(&fs::read(out).unwrap()).into_owned(), said }
}
