//! `demo`, `serve` and `get`.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::thread;

use rustix::process::Signal;
use serde_json::Value;

use super::program::*;

/// A connection of the host's.
fn connect(addr: &str) -> TcpStream {
    let stream = TcpStream::connect_timeout(&at(addr), LIMIT).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

/// One request on a connection of its own; the answer with its header, as text.
fn ask(request: &str) -> String {
    let mut stream = connect("10.7.0.2:80");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    text(&answer)
}

fn status_of(target: &str) -> String {
    let answer = ask(&format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

pub(crate) fn demo_answers_curl_and_leaves_nothing() {
    let (program, ready) = Program::start_command(command("demo").arg("--json"), false);
    assert_eq!(ready["device"], "tun0");
    assert_eq!(ready["addresses"], serde_json::json!(["10.7.0.2/24", "fd07::2/64"]));
    assert_eq!(ready["services"][0]["addresses"], serde_json::json!(["10.7.0.2:80", "[fd07::2]:80"]));
    assert_eq!(interfaces(), ["tun0"]);
    for url in ["http://10.7.0.2/", "http://[fd07::2]/"] {
        let page = tool(&format!("curl -sSg --fail {url}"));
        assert!(page.contains("tunstack") && page.contains("ESTABLISHED"), "{page}");
    }
    let file = tool("curl -sS --fail http://10.7.0.2/files/hello.txt");
    assert!(file.contains("a TCP of this program's own"), "{file}");
    let listing = tool("curl -sSL --fail http://10.7.0.2/files");
    assert!(listing.contains("href=\"100M\"") && listing.contains("100.0 MiB"), "{listing}");
    let temporary = std::env::temp_dir().join(format!("tunstack-demo-{}", ready["pid"]));
    assert!(temporary.exists());

    let ended = program.stop_well();
    assert!(ended.event("summary")["counters"]["TcpPassiveOpens"].as_u64() >= Some(4));
    assert_eq!(interfaces(), [""; 0]);
    assert!(!temporary.exists());
}

pub(crate) fn demo_shows_its_own_connection() {
    let program = Program::start("demo --no-ipv6");
    // Two requests on one connection: the figures are that connection's.
    let url = "http://10.7.0.2/connection.json";
    let both = tool(&format!("curl -sS --fail --write-out \\n {url} {url}"));
    let objects: Vec<Value> = both.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for object in &objects {
        assert_eq!(object["state"], "Established");
        assert_eq!((object["cwnd"].as_u64(), &object["ssthresh"]), (Some(14_480), &Value::Null), "{object}");
        assert!(object["srtt_us"].as_u64() > Some(0), "{object}");
        assert_eq!(object["local"], "10.7.0.2:80");
    }
    assert_eq!(objects[0]["remote"], objects[1]["remote"]);
    program.stop_well();
}

pub(crate) fn serve_gives_files_whole_and_in_parts() {
    let dir = Scratch::new();
    let whole = data(5_000_000);
    dir.write("big file.bin", &whole);
    dir.write("page.html", b"<p>hello");
    let program = Program::start(&format!("serve {} --port 8080", dir.0.display()));
    for host in ["10.7.0.2", "[fd07::2]"] {
        let got = dir.path("got");
        tool(&format!("curl -sSg --fail -o {got} http://{host}:8080/big%20file.bin"));
        assert!(hash(&fs::read(&got).unwrap()) == hash(&whole));
        fs::remove_file(got).unwrap();
    }
    let url = "http://10.7.0.2:8080";
    let head = tool(&format!("curl -sS --fail -I {url}/big%20file.bin")).to_ascii_lowercase();
    assert!(
        head.contains("content-length: 5000000\r\n") && head.contains("accept-ranges: bytes\r\n"),
        "{head}"
    );
    let head = tool(&format!("curl -sS --fail -I {url}/page.html")).to_ascii_lowercase();
    assert!(head.contains("content-type: text/html; charset=utf-8\r\n"), "{head}");
    let modified = head.lines().find_map(|line| line.strip_prefix("last-modified: ")).unwrap().to_owned();
    assert!(modified.ends_with("gmt"), "{modified}");

    for (range, part) in
        [("100-299", &whole[100..300]), ("4999990-", &whole[4_999_990..]), ("-1000", &whole[4_999_000..])]
    {
        let got = dir.path("part");
        let status =
            tool(&format!("curl -sS --fail -w %{{http_code}} -r {range} -o {got} {url}/big%20file.bin"));
        assert_eq!(status, "206");
        assert!(fs::read(&got).unwrap() == part, "{range}");
        fs::remove_file(got).unwrap();
    }
    let beyond = tool(&format!("curl -sS -w %{{http_code}} -r 5000000- -o /dev/null {url}/big%20file.bin"));
    assert_eq!(beyond, "416");
    // Asked for in a way that has to be ignored, or for more than there is.
    for (asked, status) in [
        ("-I -r 0-9", "200"),
        ("-H Range:lines=1-2", "200"),
        ("-r 0-9 -H If-Range:x", "200"),
        ("-r 0-1,4-5", "200"),
        ("-r -99999999", "206"),
    ] {
        let size = if asked.starts_with("-I") { "0" } else { "5000000" };
        let form = "%{http_code}/%{size_download}";
        let got = tool(&format!("curl -sS -w {form} -o /dev/null {asked} {url}/big%20file.bin"));
        assert_eq!(got, format!("{status}/{size}"), "{asked}");
    }
    let listing = tool(&format!("curl -sS --fail {url}/"));
    assert!(listing.contains("href=\"big%20file.bin\"") && listing.contains("page.html"), "{listing}");
    dir.write("index.html", b"the index");
    assert_eq!(tool(&format!("curl -sS --fail {url}/")), "the index");
    // Without --upload nothing is written.
    let refused =
        tool(&format!("curl -sS -w %{{http_code}} -o /dev/null -T {} {url}/x", dir.path("page.html")));
    assert_eq!(refused, "405");
    assert_eq!(dir.names(), ["big file.bin", "index.html", "page.html"]);
    program.stop_well();
}

pub(crate) fn serve_takes_uploads() {
    let (dir, whole) = (Scratch::new(), data(5_000_000));
    let from = dir.write("from.bin", &whole);
    fs::create_dir(dir.0.join("in")).unwrap();
    let program = Program::start(&format!("serve {} --upload", dir.path("in")));
    let put =
        |more: &str, url: &str| tool(&format!("curl -sS -w %{{http_code}} -o /dev/null -g {more} {url}"));
    let stored = |name: &str| fs::read(dir.0.join("in").join(name)).unwrap();
    for (url, name) in [("http://10.7.0.2/four.bin", "four.bin"), ("http://[fd07::2]/s%20x", "s x")] {
        assert_eq!(put(&format!("-T {from}"), url), "201");
        assert!(hash(&stored(name)) == hash(&whole));
    }
    // Without a length beforehand, too.
    assert_eq!(put(&format!("-T {from} -HTransfer-Encoding:chunked"), "http://10.7.0.2/chunked"), "201");
    assert!(hash(&stored("chunked")) == hash(&whole));

    let small = dir.write("small", b"new");
    let there = "http://10.7.0.2/four.bin";
    assert_eq!(put(&format!("-T {small} -HIf-None-Match:*"), there), "412");
    assert!(hash(&stored("four.bin")) == hash(&whole), "not a surprise");
    assert_eq!(put(&format!("-T {small}"), there), "204");
    assert_eq!(stored("four.bin"), b"new");
    assert_eq!(put(&format!("-T {small} -HIf-Match:*"), "http://10.7.0.2/none"), "412");
    assert_eq!(put(&format!("-T {small} -HContent-Range:bytes:0-2/9"), there), "400");
    assert_eq!(put(&format!("-T {small}"), "http://10.7.0.2/no/where"), "409");
    fs::create_dir(dir.0.join("in/sub")).unwrap();
    assert_eq!(put(&format!("-T {small}"), "http://10.7.0.2/sub"), "409");
    assert_eq!(put(&format!("-T {small}"), "http://10.7.0.2/sub/deep"), "201");
    symlink(dir.0.join("small"), dir.0.join("in/link")).unwrap();
    assert_eq!(put(&format!("-T {from}"), "http://10.7.0.2/link"), "409");
    symlink(&dir.0, dir.0.join("in/out")).unwrap();
    assert_eq!(put(&format!("-T {from}"), "http://10.7.0.2/out/escaped"), "403");
    assert_eq!(fs::read(dir.0.join("small")).unwrap(), b"new");
    assert_eq!(dir.names(), ["from.bin", "in", "small"]);
    let mut names: Vec<_> = fs::read_dir(dir.0.join("in")).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["chunked", "four.bin", "link", "out", "s x", "sub"]);
    program.stop_well();
}

pub(crate) fn serve_keeps_connections() {
    let dir = Scratch::new();
    dir.write("a", b"first");
    dir.write("b", b"second");
    let program = Program::start(&format!("serve {}", dir.0.display()));
    let mut stream = connect("10.7.0.2:80");
    // Two at once, then one more: all over one connection and in order.
    stream.write_all(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut body = || {
        let mut length = 0;
        loop {
            let mut line = String::new();
            assert!(reader.read_line(&mut line).unwrap() > 0, "closed");
            if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                length = n.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        text(&body)
    };
    assert_eq!((body(), body()), ("first".to_owned(), "second".to_owned()));
    stream.write_all(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(body(), "first");
    // An idle connection is ended in order.
    let peer = thread::spawn(move || {
        let end = reader.read(&mut [0]).unwrap();
        drop((reader, stream));
        end
    });
    let ended = program.stop_well();
    assert_eq!(ended.event("summary")["counters"]["TcpPassiveOpens"], 1);
    assert_eq!(peer.join().unwrap(), 0, "a FIN and no reset");
}

pub(crate) fn serve_lets_nobody_out() {
    let dir = Scratch::new();
    dir.write("secret", b"secret");
    fs::create_dir_all(dir.0.join("in/sub")).unwrap();
    fs::write(dir.0.join("in/open"), b"open").unwrap();
    symlink("../secret", dir.0.join("in/up")).unwrap();
    symlink(dir.0.join("secret"), dir.0.join("in/absolute")).unwrap();
    symlink("..", dir.0.join("in/parent")).unwrap();
    symlink("../open", dir.0.join("in/sub/inside")).unwrap();
    symlink("loop", dir.0.join("in/loop")).unwrap();
    tool(&format!("mkfifo {}", dir.path("in/fifo")));
    let program = Program::start(&format!("serve {}", dir.path("in")));
    for (target, status) in [
        ("/open", "200"),
        ("/sub/inside", "200"),
        ("//open", "200"),
        ("/up", "403"),
        ("/absolute", "403"),
        ("/parent/secret", "403"),
        ("/../secret", "400"),
        ("/%2e%2e/secret", "400"),
        ("/sub%2f..%2f..%2fsecret", "400"),
        ("/open%00", "400"),
        ("/open/", "404"),
        ("/none", "404"),
        ("/loop", "404"),
        ("/fifo", "403"),
        ("/sub", "301"),
    ] {
        assert_eq!(status_of(target), status, "{target}");
    }
    let answer = ask("GET //sub HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").to_ascii_lowercase();
    assert!(answer.contains("\r\nlocation: /sub/\r\n"), "a redirection to another host: {answer}");
    let answer = ask("BREW /open HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    let answer = ask("this is no HTTP\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    program.stop_well();
}

pub(crate) fn a_broken_upload_leaves_nothing() {
    let dir = Scratch::new();
    let program = Program::start(&format!("serve {} --upload", dir.0.display()));
    let mut stream = connect("10.7.0.2:80");
    stream.write_all(b"PUT /half HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf of it").unwrap();
    // The end of what we send comes long before the end of the body.
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(dir.names(), [""; 0]);
    // An answer to one who still sends is seen in spite of it.
    let mut stream = connect("10.7.0.2:80");
    stream.write_all(b"PUT /a/b HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n").unwrap();
    let mut writer = stream.try_clone().unwrap();
    let sender = thread::spawn(move || writer.write_all(&vec![0; 1_000_000]));
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 409 "), "{answer}");
    sender.join().unwrap().unwrap();
    drop(stream);
    program.stop_well();
}

pub(crate) fn an_answer_under_way_is_ended() {
    let dir = Scratch::new();
    let whole = data(8_000_000);
    dir.write("big", &whole);
    let program = Program::start(&format!("serve {}", dir.0.display()));
    let mut stream = connect("10.7.0.2:80");
    stream.write_all(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut first = [0; 1000];
    stream.read_exact(&mut first).unwrap();
    program.signal(Signal::TERM);
    let mut rest = first.to_vec();
    stream.read_to_end(&mut rest).unwrap();
    assert!(rest.ends_with(&whole), "{} octets, {} of them were to be the file", rest.len(), whole.len());
    // Nobody new is let in.
    assert!(TcpStream::connect_timeout(&at("10.7.0.2:80"), LIMIT).is_err());
    let ended = program.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.other());
}

pub(crate) fn get_fetches() {
    assert_ok(&run("up --user root"));
    let whole = data(3_000_000);
    let listener = TcpListener::bind("10.7.0.1:8000").unwrap();
    let body = whole.clone();
    let server = thread::spawn(move || {
        let mut requests = Vec::new();
        for n in 0..6 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = BufReader::new(stream.try_clone().unwrap()).lines();
            let head: Vec<_> = request.by_ref().map(Result::unwrap).take_while(|l| !l.is_empty()).collect();
            requests.push(head.join("\n"));
            let (length, answer): (_, &[u8]) = match n {
                0 | 1 => (body.len(), &body),
                2 => (body.len(), &body[..1000]),
                _ => (5, b"gone\n"),
            };
            let status = match n {
                3 => "404 Not Found",
                4 => "302 Found\r\nLocation: http://elsewhere.example/",
                _ => "200 OK",
            };
            write!(stream, "HTTP/1.1 {status}\r\nX-Test: yes\r\nContent-Length: {length}\r\n\r\n").unwrap();
            stream.write_all(answer).unwrap();
        }
        requests
    });
    let dir = Scratch::new();
    let got = run("get http://10.7.0.1:8000/a?b=c");
    assert_ok(&got);
    assert!(hash(&got.stdout) == hash(&whole));
    let file = dir.path("file");
    assert_ok(&run(&format!("get 10.7.0.1:8000 -o {file}")));
    assert!(hash(&fs::read(file).unwrap()) == hash(&whole));
    let cut = run("get http://10.7.0.1:8000/");
    assert_eq!((code(cut.status), cut.stdout.len()), (1, 1000));
    assert!(text(&cut.stderr).contains("cut short after 1000 octets"), "{}", text(&cut.stderr));
    let missing = run("get http://10.7.0.1:8000/none");
    assert_eq!((code(missing.status), text(&missing.stdout)), (1, "gone\n".to_owned()));
    assert!(text(&missing.stderr).contains("404 Not Found"));
    let moved = run("get -i http://10.7.0.1:8000/");
    assert_ok(&moved);
    assert!(text(&moved.stdout).starts_with("HTTP/1.1 302 Found\r\n"), "{}", text(&moved.stdout));
    assert!(text(&moved.stdout).ends_with("\r\n\r\ngone\n"));
    assert!(text(&moved.stderr).contains("http://elsewhere.example/"));
    // A file that cannot be written.
    let full = run("get http://10.7.0.1:8000/ -o /dev/full");
    assert_eq!(code(full.status), 1);
    assert!(text(&full.stderr).contains("/dev/full: No space left"), "{}", text(&full.stderr));
    let requests = server.join().unwrap();
    assert!(requests[0].starts_with("GET /a?b=c HTTP/1.1\n") && requests[0].contains("host: 10.7.0.1:8000"));
    assert_ok(&run("down"));
}
