//! A buffered byte stream over a file, a standard stream or a process: what C
//! calls a `FILE`. It knows nothing of Lua.

use std::fs::File;
use std::io::{self, BufRead, IsTerminal, Read, Seek, SeekFrom, Write};
use std::process::{Child, ExitStatus};

/// Size of the buffers.
const BUFFER: usize = 8 * 1024;

/// Where the bytes come from and go to.
#[derive(Debug)]
pub(super) enum Device {
    /// An open file.
    File(File),
    /// Standard input: std's own buffer is used, for others may read it too.
    Stdin,
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A process whose standard input or output is a pipe to us.
    Child(Box<Child>),
}

/// When written bytes are passed on to the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Buffering {
    /// At once.
    No,
    /// When the buffer is full.
    Full,
    /// At the end of each line.
    Line,
}

/// What a stream was opened for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    pub(super) read: bool,
    pub(super) write: bool,
}

/// An open stream.
#[derive(Debug)]
pub(super) struct Stream {
    device: Device,
    access: Access,
    buffering: Buffering,
    capacity: usize,
    /// Read ahead, from `next` on.
    input: Vec<u8>,
    next: usize,
    /// Written, not yet passed on.
    output: Vec<u8>,
}

/// The error of using a stream in a way it was not opened for.
fn bad_descriptor() -> io::Error {
    io::Error::from_raw_os_error(9)
}

impl Stream {
    pub(super) fn new(device: Device, access: Access) -> Self {
        let buffering = match device {
            Device::Stderr => Buffering::No,
            Device::Stdout if io::stdout().is_terminal() => Buffering::Line,
            _ => Buffering::Full,
        };
        Self {
            device,
            access,
            buffering,
            capacity: BUFFER,
            input: Vec::new(),
            next: 0,
            output: Vec::new(),
        }
    }

    pub(super) fn set_buffering(&mut self, buffering: Buffering, size: usize) -> io::Result<()> {
        self.flush()?;
        self.buffering = buffering;
        // a size is a hint: one that is absurd must not cost memory
        self.capacity = size.clamp(1, 1 << 20);
        Ok(())
    }

    /// Bytes that its buffers may take.
    pub(super) fn room(&self) -> usize {
        usize::from(self.access.read) * BUFFER + usize::from(self.access.write) * self.capacity
    }

    /// Is this standard input at a terminal?
    pub(super) fn is_interactive(&self) -> bool {
        matches!(self.device, Device::Stdin) && io::stdin().is_terminal()
    }

    // ---- reading ----

    /// Shows `take` the bytes that are at hand (none at the end of the stream)
    /// and drops as many as it says.
    pub(super) fn with_available<R>(
        &mut self,
        take: impl FnOnce(&[u8]) -> (usize, R),
    ) -> io::Result<R> {
        if !self.access.read {
            return Err(bad_descriptor());
        }
        if let Device::Stdin = self.device {
            let mut stdin = io::stdin().lock();
            let available = loop {
                match stdin.fill_buf() {
                    Ok(bytes) => break bytes,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(e),
                }
            };
            let (used, result) = take(available);
            stdin.consume(used);
            return Ok(result);
        }
        if self.next >= self.input.len() {
            self.fill()?;
        }
        let (used, result) = take(&self.input[self.next..]);
        self.next = (self.next + used).min(self.input.len());
        Ok(result)
    }

    fn fill(&mut self) -> io::Result<()> {
        self.flush()?;
        self.next = 0;
        self.input.resize(BUFFER, 0);
        let got = loop {
            let result = match &mut self.device {
                Device::File(file) => file.read(&mut self.input),
                Device::Child(child) => match &mut child.stdout {
                    Some(pipe) => pipe.read(&mut self.input),
                    None => Err(bad_descriptor()),
                },
                _ => Err(bad_descriptor()),
            };
            match result {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.input.truncate(*got.as_ref().unwrap_or(&0));
        got.map(drop)
    }

    /// The next byte, which stays.
    pub(super) fn peek(&mut self) -> io::Result<Option<u8>> {
        self.with_available(|bytes| (0, bytes.first().copied()))
    }

    /// Drops a byte that was seen by `peek`.
    pub(super) fn advance(&mut self) -> io::Result<()> {
        self.with_available(|bytes| (bytes.len().min(1), ()))
    }

    // ---- writing ----

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.access.write {
            return Err(bad_descriptor());
        }
        self.forget_input()?;
        if self.output.len() + bytes.len() > self.capacity {
            self.flush()?;
        }
        if self.buffering == Buffering::No || bytes.len() > self.capacity {
            self.flush()?;
            return self.write_through(bytes);
        }
        self.output.extend_from_slice(bytes);
        if self.buffering == Buffering::Line && memchr::memchr(b'\n', bytes).is_some() {
            self.flush()?;
        }
        Ok(())
    }

    /// Passes buffered bytes on. They are gone even if that fails, so that the
    /// failure is reported once.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        let output = std::mem::take(&mut self.output);
        let result = self.write_through(&output);
        self.output = output;
        self.output.clear();
        result
    }

    fn write_through(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.device {
            Device::File(file) => file.write_all(bytes),
            Device::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(bytes)?;
                stdout.flush()
            }
            Device::Stderr => io::stderr().lock().write_all(bytes),
            Device::Child(child) => match &mut child.stdin {
                Some(pipe) => pipe.write_all(bytes),
                None => Err(bad_descriptor()),
            },
            Device::Stdin => Err(bad_descriptor()),
        }
    }

    // ---- position ----

    /// Drops what was read ahead, with the file's position moved back to where
    /// the reader is.
    fn forget_input(&mut self) -> io::Result<()> {
        let ahead = self.input.len().saturating_sub(self.next);
        self.input.clear();
        self.next = 0;
        if ahead > 0
            && let Device::File(file) = &mut self.device
        {
            file.seek(SeekFrom::Current(-(ahead as i64)))?;
        }
        Ok(())
    }

    /// Moves the position; gives it counted from the beginning.
    pub(super) fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.flush()?;
        self.forget_input()?;
        match &mut self.device {
            Device::File(file) => file.seek(to),
            // "Illegal seek": pipes and terminals
            _ => Err(io::Error::from_raw_os_error(29)),
        }
    }

    // ---- end ----

    /// Closes the stream. A process is waited for and gives its status.
    pub(super) fn close(mut self) -> io::Result<Option<ExitStatus>> {
        let flushed = self.flush();
        if let Device::Child(child) = &mut self.device {
            drop(child.stdin.take());
            drop(child.stdout.take());
            return child.wait().map(Some);
        }
        flushed.map(|()| None)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // nobody is left to hear of a failure
        let _ = self.flush();
        if let Device::Child(child) = &mut self.device {
            drop(child.stdin.take());
            drop(child.stdout.take());
            let _ = child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn temporary() -> Stream {
        let (path, file) = crate::io::new_temporary_file().expect("temporary file");
        std::fs::remove_file(path).expect("removed");
        Stream::new(
            Device::File(file),
            Access {
                read: true,
                write: true,
            },
        )
    }

    fn rest(stream: &mut Stream) -> Vec<u8> {
        let mut out = Vec::new();
        while let Ok(Some(c)) = stream.peek() {
            out.push(c);
            stream.advance().expect("seen");
        }
        out
    }

    #[test]
    fn reading_and_writing_share_one_position() {
        let mut s = temporary();
        s.write(b"hello world").expect("write");
        assert_eq!(s.seek(SeekFrom::Start(0)).expect("seek"), 0);
        for _ in 0..5 {
            s.advance().expect("read");
        }
        s.write(b"_").expect("write");
        assert_eq!(rest(&mut s), b"world");
        assert_eq!(s.seek(SeekFrom::Current(-5)).expect("seek"), 6);
        s.advance().expect("read");
        assert_eq!(s.seek(SeekFrom::Current(0)).expect("seek"), 7);
        assert_eq!(s.seek(SeekFrom::Start(0)).expect("seek"), 0);
        assert_eq!(rest(&mut s), b"hello_world");
        assert!(s.seek(SeekFrom::Current(-100)).is_err());
    }

    #[test]
    fn large_writes_keep_their_order() {
        let mut s = temporary();
        let big = vec![b'x'; 3 * BUFFER];
        s.write(b"a").expect("write");
        s.write(&big).expect("write");
        s.write(b"b").expect("write");
        s.seek(SeekFrom::Start(0)).expect("seek");
        let all = rest(&mut s);
        assert_eq!(
            (all.len(), all[0], all[all.len() - 1]),
            (big.len() + 2, b'a', b'b')
        );
    }
}
