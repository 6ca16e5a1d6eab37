//! INFO of a sentinel (`sentinelInfoCommand`). What a simulated process has no measure for is zero.

use std::fmt::Write as _;

use super::clients::Key;
use super::instances::Flags;
use super::reply::Reply;
use super::{Cx, Sentinel};
use crate::resp::Args;

/// The sections that a sentinel has, in the order in which they are printed.
const SECTIONS: &[&str] = &["server", "clients", "stats", "cpu", "sentinel"];

/// Fields of the Stats section that never leave zero, in the order in which they are printed.
const ZERO_STATS: &[&str] = &[
    "total_net_repl_input_bytes:0",
    "total_net_repl_output_bytes:0",
    "instantaneous_input_kbps:0.00",
    "instantaneous_output_kbps:0.00",
    "instantaneous_input_repl_kbps:0.00",
    "instantaneous_output_repl_kbps:0.00",
    "rejected_connections:0",
    "sync_full:0",
    "sync_partial_ok:0",
    "sync_partial_err:0",
    "expired_keys:0",
    "expired_stale_perc:0.00",
    "expired_time_cap_reached_count:0",
    "expire_cycle_cpu_milliseconds:0",
    "evicted_keys:0",
    "evicted_clients:0",
    "total_eviction_exceeded_time:0",
    "current_eviction_exceeded_time:0",
    "keyspace_hits:0",
    "keyspace_misses:0",
];

/// The rest of them.
const MORE_ZERO_STATS: &[&str] = &[
    "pubsubshard_channels:0",
    "latest_fork_usec:0",
    "total_forks:0",
    "migrate_cached_sockets:0",
    "slave_expires_tracked_keys:0",
    "active_defrag_hits:0",
    "active_defrag_misses:0",
    "active_defrag_key_hits:0",
    "active_defrag_key_misses:0",
    "total_active_defrag_time:0",
    "current_active_defrag_time:0",
    "tracking_total_keys:0",
    "tracking_total_items:0",
    "tracking_total_prefixes:0",
    "unexpected_error_replies:0",
    "total_error_replies:0",
    "dump_payload_sanitizations:0",
    "total_reads_processed:0",
    "total_writes_processed:0",
    "io_threaded_reads_processed:0",
    "io_threaded_writes_processed:0",
    "reply_buffer_shrinks:0",
    "reply_buffer_expands:0",
];

impl Sentinel {
    pub(super) fn info_command(&mut self, cx: &mut Cx<'_>, _key: Key, args: &Args, reply: &mut Reply) {
        let asked = |section: &str| {
            args.len() == 1
                || args.iter().skip(1).any(|arg| {
                    [section, "default", "all", "everything"]
                        .iter()
                        .any(|name| arg.eq_ignore_ascii_case(name.as_bytes()))
                })
        };
        let mut text = String::new();
        for section in SECTIONS.iter().filter(|section| asked(section)) {
            if !text.is_empty() {
                text.push_str("\r\n");
            }
            self.info_section(cx, section, &mut text).expect("writing to a string can't fail");
        }
        reply.bulk(text);
    }

    fn info_section(&self, cx: &Cx<'_>, section: &str, text: &mut String) -> std::fmt::Result {
        match section {
            "server" => self.info_server(cx, text),
            "clients" => write!(
                text,
                "# Clients\r\nconnected_clients:{}\r\ncluster_connections:0\r\nmaxclients:10000\r\n\
                 client_recent_max_input_buffer:0\r\nclient_recent_max_output_buffer:0\r\nblocked_clients:0\r\n\
                 tracking_clients:0\r\nclients_in_timeout_table:0\r\n",
                self.clients.table.len()
            ),
            "stats" => self.info_stats(text),
            "cpu" => {
                text.push_str("# CPU\r\n");
                for name in ["sys", "user", "sys_children", "user_children", "sys_main_thread", "user_main_thread"] {
                    write!(text, "used_cpu_{name}:0.000000\r\n")?;
                }
                Ok(())
            }
            _ => self.info_sentinel(cx, text),
        }
    }

    fn info_server(&self, cx: &Cx<'_>, text: &mut String) -> std::fmt::Result {
        let uptime = cx.now.mono.since(self.started.mono).secs();
        write!(
            text,
            "# Server\r\nredis_version:7.0.15\r\nredis_git_sha1:00000000\r\nredis_git_dirty:0\r\n\
             redis_build_id:0\r\nredis_mode:sentinel\r\nos:Linux x86_64\r\narch_bits:64\r\n\
             monotonic_clock:POSIX clock_gettime\r\nmultiplexing_api:epoll\r\natomicvar_api:c11-builtin\r\n\
             gcc_version:0.0.0\r\nprocess_id:1\r\nprocess_supervised:no\r\nrun_id:{}\r\ntcp_port:{}\r\n\
             server_time_usec:{}\r\nuptime_in_seconds:{uptime}\r\nuptime_in_days:{}\r\nhz:10\r\nconfigured_hz:10\r\n\
             lru_clock:{}\r\nexecutable:/redis-sentinel\r\nconfig_file:/{}\r\nio_threads_active:0\r\n",
            self.run_id,
            self.port(),
            cx.now.unix.us(),
            uptime / 86_400,
            cx.now.unix.secs() % (1 << 24),
            super::rewrite::FILE,
        )
    }

    fn info_stats(&self, text: &mut String) -> std::fmt::Result {
        let clients = &self.clients;
        write!(
            text,
            "# Stats\r\ntotal_connections_received:{}\r\ntotal_commands_processed:{}\r\n\
             instantaneous_ops_per_sec:0\r\ntotal_net_input_bytes:{}\r\ntotal_net_output_bytes:0\r\n",
            clients.accepted, clients.commands, clients.input
        )?;
        for line in ZERO_STATS {
            write!(text, "{line}\r\n")?;
        }
        write!(text, "pubsub_channels:{}\r\npubsub_patterns:{}\r\n", clients.channel_count(), clients.pattern_count())?;
        for line in MORE_ZERO_STATS {
            write!(text, "{line}\r\n")?;
        }
        Ok(())
    }

    fn info_sentinel(&self, cx: &Cx<'_>, text: &mut String) -> std::fmt::Result {
        write!(
            text,
            "# Sentinel\r\nsentinel_masters:{}\r\nsentinel_tilt:{}\r\nsentinel_tilt_since_seconds:{}\r\n\
             sentinel_running_scripts:{}\r\nsentinel_scripts_queue_length:{}\r\n\
             sentinel_simulate_failure_flags:{}\r\n",
            self.masters.len(),
            u8::from(self.tilt.is_some()),
            self.tilt.map_or(-1, |since| (cx.ms - since) / 1000),
            self.scripts.running(),
            self.scripts.queue.len(),
            self.simulated_failures,
        )?;
        for (index, &id) in self.masters.iter().enumerate() {
            let (master, group) = (self.at(id), self.group(id));
            let status = if master.flags.any(Flags::O_DOWN) {
                "odown"
            } else if master.flags.any(Flags::S_DOWN) {
                "sdown"
            } else {
                "ok"
            };
            write!(
                text,
                "master{index}:name={},status={status},address={}:{},slaves={},sentinels={}\r\n",
                master.name,
                self.announced(&master.addr),
                master.addr.port,
                group.slaves.len(),
                group.sentinels.len() + 1,
            )?;
        }
        Ok(())
    }
}
