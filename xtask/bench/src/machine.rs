//! On what it was measured, as far as Linux says.

use std::fs;
use std::path::Path;

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
}
