//! On what it was measured, as far as Linux says.

use std::fs;
use std::path::Path;

/// `sysconf(_SC_CLK_TCK)`, which is 100 on every Linux of today: 10 ms per tick.
const TICK_US: u64 = 10_000;

/// One line per fact.
pub(crate) fn describe(directory: &Path) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "{cores} cores ({}), {} MiB of memory, Linux {}\n{} on {}",
        value("/proc/cpuinfo", "model name"),
        value("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse::<u64>().unwrap_or(0)
            / 1_024,
        fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim(),
        file_system(&fs::read_to_string("/proc/mounts").unwrap_or_default(), directory),
        directory.display(),
    )
}

/// How many processes wanted to run in the last minute, on average.
pub(crate) fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or_default().to_owned()
}

/// How much processor time a process has used, in microseconds, to the nearest 10,000 below. `self`
/// is this one.
pub(crate) fn cpu_us(process: &str) -> Result<u64, String> {
    let path = format!("/proc/{process}/stat");
    let stat = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    cpu_ticks(&stat).map(|ticks| ticks * TICK_US).ok_or(format!("{path}: {stat}"))
}

/// How much processor time all processes have used, in microseconds.
pub(crate) fn all_cpu_us() -> Result<u64, String> {
    let stat = fs::read_to_string("/proc/stat").map_err(|error| format!("/proc/stat: {error}"))?;
    all_cpu_ticks(&stat).map(|ticks| ticks * TICK_US).ok_or(stat)
}

/// How much memory a process holds, in KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Now, all of it.
    pub(crate) rss_kib: u64,
    /// Now, without pages of files.
    pub(crate) anonymous_kib: u64,
    /// The most so far.
    pub(crate) peak_kib: u64,
}

/// How much memory a process holds. `self` is this one.
pub(crate) fn memory(process: &str) -> Result<Memory, String> {
    let path = format!("/proc/{process}/status");
    let status = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    memory_of(&status).ok_or(format!("{path}: {status}"))
}

fn memory_of(status: &str) -> Option<Memory> {
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.parse().ok()
    };
    Some(Memory {
        rss_kib: kib("VmRSS:")?,
        anonymous_kib: kib("RssAnon:")?,
        peak_kib: kib("VmHWM:")?,
    })
}

/// The process that started a process.
pub(crate) fn parent(process: &str) -> Result<String, String> {
    let path = format!("/proc/{process}/stat");
    let stat = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    parent_of(&stat).map(str::to_owned).ok_or(format!("{path}: {stat}"))
}

fn parent_of(stat: &str) -> Option<&str> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(1)
}

/// The processes that a process started and that have not ended.
pub(crate) fn children(process: &str) -> Result<Vec<String>, String> {
    let listed = fs::read_dir("/proc").map_err(|error| format!("/proc: {error}"))?;
    let names = listed.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let numbers = names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    // One that has ended since it was listed has no parent any more.
    Ok(numbers.filter(|it| parent(it).is_ok_and(|parent| parent == process)).collect())
}

/// How many cores there are.
pub(crate) fn cores() -> u64 {
    std::thread::available_parallelism().map_or(1, |it| u64::try_from(it.get()).unwrap_or(1))
}

/// Ticks in user and in kernel mode: the 14th and 15th field, where the 2nd may hold spaces.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some(ticks()? + ticks()?)
}

/// Ticks in user mode, at low priority and in the kernel: the first three numbers of the first line.
fn all_cpu_ticks(stat: &str) -> Option<u64> {
    let numbers = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().take(3);
    numbers.map(|number| number.parse::<u64>().ok()).sum()
}

/// The value of a `name : value` line.
fn value(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let value = text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    });
    value.unwrap_or_default()
}

/// `ext4 (/dev/vda)`: what holds a directory, from the table of mounts.
fn file_system(mounts: &str, directory: &Path) -> String {
    let mut best = (0, "an unknown file system".to_owned());
    for mount in mounts.lines() {
        let mut words = mount.split(' ');
        let (Some(device), Some(place), Some(kind)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        if directory.starts_with(place) && place.len() >= best.0 {
            best = (place.len(), format!("{kind} ({device})"));
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_on_the_mount_nearest_to_it() {
        let mounts = "/dev/vda / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n";
        assert_eq!(file_system(mounts, Path::new("/tmp/x")), "tmpfs (tmpfs)");
        assert_eq!(file_system(mounts, Path::new("/tmpx")), "ext4 (/dev/vda)");
    }

    #[test]
    fn processor_time_is_read_behind_a_name_with_spaces() {
        let stat = "7 (a b) c) S 1 2 3 4 5 6 7 8 9 10 101 13 14 15";
        assert_eq!(cpu_ticks(stat), Some(114));
        assert_eq!(cpu_ticks("7"), None);
        assert_eq!((parent_of(stat), parent_of("7")), (Some("1"), None));
    }

    #[test]
    fn memory_is_read_by_name() {
        let status = "VmHWM:\t     101 kB\nVmRSS:\t      13 kB\nRssAnon:\t       7 kB\n";
        let memory = Memory { rss_kib: 13, anonymous_kib: 7, peak_kib: 101 };
        assert_eq!(memory_of(status), Some(memory));
        assert_eq!(memory_of("VmRSS:\t 13 kB\n"), None);
    }

    #[test]
    fn the_time_of_all_processes_is_that_which_is_not_waiting() {
        let stat = "cpu  7 13 101 999 5 0 9 0 0 0\ncpu0 1 1 1 1\n";
        assert_eq!(all_cpu_ticks(stat), Some(121));
        assert_eq!(all_cpu_ticks("intr 7"), None);
    }
}
