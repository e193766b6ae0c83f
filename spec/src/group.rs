#![doc = include_str!("../group.md")]
