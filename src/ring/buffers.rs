//! Provided buffers: groups from which receiving operations take when there is something to receive.

use std::collections::{BTreeMap, VecDeque};

use rustix::io::Errno;

use crate::bsd::Result;

/// Buffers of a group, the oldest first, with their numbers.
#[derive(Debug)]
struct Group {
    buffers: VecDeque<(u16, Vec<u8>)>,
    capacity: usize,
}

/// The groups of a ring.
#[derive(Debug, Default)]
pub(super) struct Groups(BTreeMap<u16, Group>);

impl Groups {
    pub(super) fn register(&mut self, group: u16, entries: u16) -> Result<()> {
        if !entries.is_power_of_two() {
            return Err(Errno::INVAL);
        }
        if self.0.contains_key(&group) {
            return Err(Errno::EXIST);
        }
        self.0.insert(group, Group { buffers: VecDeque::new(), capacity: entries.into() });
        Ok(())
    }

    pub(super) fn unregister(&mut self, group: u16) -> Result<Vec<(u16, Vec<u8>)>> {
        self.0.remove(&group).map(|group| group.buffers.into()).ok_or(Errno::INVAL)
    }

    pub(super) fn provide(&mut self, group: u16, id: u16, buffer: Vec<u8>) -> Result<()> {
        let group = self.0.get_mut(&group).ok_or(Errno::NOENT)?;
        if buffer.is_empty() {
            return Err(Errno::INVAL);
        }
        if group.buffers.len() >= group.capacity {
            return Err(Errno::NOBUFS);
        }
        group.buffers.push_back((id, buffer));
        Ok(())
    }

    /// The buffer that is next.
    pub(super) fn first(&mut self, group: u16) -> Option<&mut Vec<u8>> {
        self.0.get_mut(&group)?.buffers.front_mut().map(|(_, buffer)| buffer)
    }

    /// Takes it out.
    pub(super) fn take(&mut self, group: u16) -> Option<(u16, Vec<u8>)> {
        self.0.get_mut(&group)?.buffers.pop_front()
    }

    pub(super) fn available(&self, group: u16) -> usize {
        self.0.get(&group).map_or(0, |group| group.buffers.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_bounded_and_goes_round() {
        let mut groups = Groups::default();
        assert_eq!(groups.register(1, 3), Err(Errno::INVAL));
        groups.register(1, 2).unwrap();
        assert_eq!(groups.register(1, 2), Err(Errno::EXIST));
        assert_eq!(groups.provide(2, 0, vec![0]), Err(Errno::NOENT));
        assert_eq!(groups.provide(1, 0, vec![]), Err(Errno::INVAL), "nothing would fit");
        groups.provide(1, 8, vec![8]).unwrap();
        groups.provide(1, 9, vec![9]).unwrap();
        assert_eq!(groups.provide(1, 10, vec![10]), Err(Errno::NOBUFS));
        assert_eq!(groups.first(1), Some(&mut vec![8]));
        assert_eq!(groups.take(1), Some((8, vec![8])));
        groups.provide(1, 8, vec![8]).unwrap();
        assert_eq!(groups.available(1), 2);
        assert_eq!(groups.unregister(1), Ok(vec![(9, vec![9]), (8, vec![8])]));
        assert_eq!(groups.first(1), None);
        assert_eq!(groups.unregister(1), Err(Errno::INVAL));
    }
}
