//! The report as a browser shows it: on a phone, on a desk and on paper.
//!
//! Chromium or Chrome is looked for on the path. Where there is none these tests look at nothing and say so; with
//! `BACKBURN_BROWSER=required` they fail instead.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use backburn_optim::DeviceKind;
use backburn_reproduce::{Request, Scale, compare_runs, reproduce};
use backburn_train::data::Options;
use backburn_train::models::ModelKind;
use backburn_train::run::{Run, RunConfig, RunFolder};

const PHONE: [u32; 2] = [390, 844];
const DESK: [u32; 2] = [1280, 900];
/// Letters that are smaller cannot be read without a magnifier.
const SMALLEST_LETTERS: f64 = 9.0;
/// The first curve of every figure.
const BLUE: [u8; 3] = [0, 114, 178];

/// A report of figures with one, two and four panels and of tables, made once for all tests.
fn report() -> &'static Path {
    static DONE: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, index) = DONE.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let names = ["counterexample-2", "sparse-noise", "max-margin", "ef21-divergence"].map(String::from).to_vec();
        let data = Options { offline: true, ..Options::default() };
        let request = Request { data, device: DeviceKind::Flex, ..Request::new(names, Scale::Smoke, directory.path()) };
        let index = reproduce(&request).unwrap().index.canonicalize().unwrap();
        (directory, index)
    });
    index
}

/// A page over four runs of two methods, made once for all tests.
fn runs() -> &'static Path {
    static DONE: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, page) = DONE.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        for (compressor, seed) in [("topk:0.01", 1), ("topk:0.01", 2), ("sign:scaled", 1), ("sign:scaled", 2)] {
            let config = RunConfig {
                model: ModelKind::Softmax,
                steps: 60,
                subset: 100,
                batch: 4,
                evaluate_every: 20,
                device: DeviceKind::Flex,
                compressor: compressor.parse().unwrap(),
                link: Some("100Mbit,20ms".parse().unwrap()),
                seed,
                ..RunConfig::default()
            };
            let folder = RunFolder::new(directory.path().join(format!("{compressor} {seed}")));
            Run::new(config).with_folder(folder).run(&mut ()).unwrap();
        }
        let page = directory.path().join("report.html");
        compare_runs(&[directory.path().into()], &page).unwrap();
        (directory, page.canonicalize().unwrap())
    });
    page
}

/// A browser, and a directory for what it writes.
struct Browser {
    program: PathBuf,
    home: tempfile::TempDir,
}

impl Browser {
    fn find() -> Option<Self> {
        let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
        let path = std::env::var_os("PATH").unwrap_or_default();
        let places: Vec<PathBuf> = std::env::split_paths(&path).collect();
        let found = names.iter().flat_map(|name| places.iter().map(move |p| p.join(name))).find(|p| p.is_file());
        let required = std::env::var("BACKBURN_BROWSER").is_ok_and(|wish| wish == "required");
        assert!(found.is_some() || !required, "BACKBURN_BROWSER=required, and none of {names:?} is on the path");
        if found.is_none() {
            eprintln!("\nNO BROWSER: none of {names:?} is on the path, so THE REPORT WAS NOT LOOKED AT\n");
        }
        Some(Self { program: found?, home: tempfile::tempdir().unwrap() })
    }

    /// Opens a page and gives what the browser printed.
    fn open(&self, page: &Path, size: [u32; 2], arguments: &[String]) -> String {
        let printed = self.home.path().join("printed");
        let mut child = Command::new(&self.program)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"])
            .arg(format!("--user-data-dir={}", self.home.path().join("profile").display()))
            .arg(format!("--window-size={},{}", size[0], size[1]))
            .args(arguments)
            .arg(format!("file://{}", page.display()))
            .stdout(std::fs::File::create(&printed).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if begun.elapsed() > Duration::from_secs(90) {
                let _ = child.kill();
                panic!("the browser takes longer than 90 s over {arguments:?}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(child.wait().unwrap().success(), "{arguments:?}");
        String::from_utf8_lossy(&std::fs::read(&printed).unwrap()).into_owned()
    }

    fn screenshot(&self, page: &Path, size: [u32; 2]) -> Picture {
        let file = self.home.path().join("picture.png");
        self.open(page, size, &[format!("--screenshot={}", file.display())]);
        Picture::read(&file)
    }

    /// The number of pages of a page's printed form.
    fn pages(&self, page: &Path) -> usize {
        let file = self.home.path().join("print.pdf");
        self.open(page, DESK, &[format!("--print-to-pdf={}", file.display()), "--no-pdf-header-footer".into()]);
        let bytes = std::fs::read(&file).unwrap();
        assert!(bytes.starts_with(b"%PDF"));
        let text = String::from_utf8_lossy(&bytes);
        text.match_indices("/Type /Page").filter(|(at, word)| !text[at + word.len()..].starts_with('s')).count()
    }

    /// A copy of a page with changes.
    fn copy(&self, page: &Path, change: impl Fn(String) -> String) -> PathBuf {
        let path = self.home.path().join("copy.html");
        std::fs::write(&path, change(std::fs::read_to_string(page).unwrap())).unwrap();
        path
    }

    /// Width of the window, width that the page takes, and size of the figures' smallest letters, all in CSS pixels.
    fn measure(&self, page: &Path, [width, height]: [u32; 2]) -> [f64; 3] {
        const SCRIPT: &str = "<script>addEventListener('load', () => {
            const sizes = [...document.querySelectorAll('figure text')].map(text => {
                const svg = text.ownerSVGElement, scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
                return scale * parseFloat(text.getAttribute('font-size'));
            });
            const found = [innerWidth, document.documentElement.scrollWidth, Math.min(...sizes)];
            parent.postMessage('measured ' + found.join(' ') + ' .', '*');
        });</script></body>";
        // Within a frame, because the browser's own window is never narrower than 500 pixels.
        self.copy(page, |html| html.replace("</body>", SCRIPT));
        let frame = self.home.path().join("frame.html");
        let style = format!("style=\"border: 0; width: {width}px; height: {height}px\"");
        let listen = "addEventListener('message', message => { document.title = message.data; });";
        let page = format!("<title></title><script>{listen}</script><iframe src=\"copy.html\" {style}></iframe>");
        std::fs::write(&frame, page).unwrap();
        let arguments = ["--virtual-time-budget=5000", "--dump-dom"].map(String::from);
        let dom = self.open(&frame, [width.max(500), height], &arguments);
        let numbers = dom.split_once("measured ").unwrap_or_else(|| panic!("nothing measured in {dom}")).1;
        let mut numbers = numbers.split(' ').map(|n| n.parse().unwrap_or_else(|_| panic!("{dom}")));
        std::array::from_fn(|_| numbers.next().unwrap())
    }
}

/// Pixels as red, green and blue.
struct Picture {
    size: [u32; 2],
    pixels: Vec<[u8; 3]>,
}

impl Picture {
    fn read(file: &Path) -> Self {
        let bytes = std::fs::read(file).unwrap_or_else(|e| panic!("no screenshot: {e}"));
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut buffer = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut buffer).unwrap();
        let samples = info.color_type.samples();
        let pixels = buffer[..info.buffer_size()].chunks_exact(samples).map(|p| [p[0], p[1], p[2]]).collect();
        Self { size: [info.width, info.height], pixels }
    }

    fn colours(&self) -> usize {
        self.pixels.iter().collect::<std::collections::HashSet<_>>().len()
    }

    fn has(&self, colour: [u8; 3]) -> bool {
        self.pixels.iter().filter(|p| **p == colour).count() > 100
    }
}

#[test]
fn screenshots_show_the_pages() {
    let Some(browser) = Browser::find() else { return };
    for page in [report(), runs()] {
        for size in [PHONE, DESK] {
            let picture = browser.screenshot(page, size);
            assert_eq!(picture.size, size);
            let white = picture.pixels.iter().filter(|p| **p == [255; 3]).count();
            let ink = 1.0 - white as f64 / picture.pixels.len() as f64;
            assert!(picture.colours() > 30 && (0.01..0.6).contains(&ink), "{} colours, {ink} ink", picture.colours());
            // Further down there are figures.
            assert!(browser.screenshot(page, [size[0], 6000]).has(BLUE), "{size:?}: no curve is seen");
        }
    }
}

#[test]
fn nothing_is_wider_than_the_window_and_letters_can_be_read() {
    let Some(browser) = Browser::find() else { return };
    for page in [report(), runs()] {
        for size in [PHONE, [768, 1024], DESK] {
            let [window, width, letters] = browser.measure(page, size);
            assert_eq!(window, f64::from(size[0]));
            assert!(width <= window, "the page takes {width} of {window} pixels");
            assert!(letters >= SMALLEST_LETTERS, "letters of {letters} pixels at {} pixels", size[0]);
        }
    }
}

#[test]
fn on_paper_everything_is_unfolded() {
    let Some(browser) = Browser::find() else { return };
    let pages = browser.pages(report());
    let open = browser.copy(report(), |html| html.replace("<details>", "<details open>"));
    assert_eq!(pages, browser.pages(&open));
    let folded = browser.copy(report(), |html| html.replace("::details-content", "::no-such-part"));
    assert!(pages > browser.pages(&folded), "configuration, bytes and machine are not on paper");
}
