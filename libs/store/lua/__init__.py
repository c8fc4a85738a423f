"""The scripts of `libs.store.streams`. `entry.lua` is put in front of those that move an entry."""
