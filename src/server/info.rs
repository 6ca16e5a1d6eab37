//! INFO: what people and sentinels read (`genRedisInfoString`).

mod text;

#[cfg(test)]
mod tests;

use super::call::Cx;
use super::memory::{STARTUP, Sums};
use super::{Server, config, cost, persistence, replication};
use crate::resp::bytes_of;

pub(super) use text::Text;

/// A section: its name, whether INFO without arguments shows it, and what writes it. The sums are those of all sessions.
type Section = (&'static str, bool, fn(&Server, &Sums, &mut Text));

const SECTIONS: &[Section] = &[
    ("server", true, server),
    ("clients", true, clients),
    ("memory", true, memory),
    ("persistence", true, persistence_section),
    ("stats", true, stats),
    ("replication", true, replication_section),
    ("cpu", true, cpu),
    ("modules", true, modules),
    ("commandstats", false, commandstats),
    ("errorstats", true, errorstats),
    ("latencystats", false, latencystats),
    ("cluster", true, cluster),
    ("keyspace", true, keyspace),
];

pub(super) fn info(cx: &mut Cx<'_>) {
    let args = cx.args;
    let sums = cx.s.session_sums();
    cx.s.stats.peak_memory = cx.s.stats.peak_memory.max(cx.s.used_with(&sums));
    let has = |name: &str| (1..args.len()).any(|i| args.get(i).eq_ignore_ascii_case(name.as_bytes()));
    let defaults = args.len() == 1 || has("default");
    let all = has("all") || has("everything");
    let mut text = Text::with_capacity(if args.len() == 1 { 6_500 } else { 1_500 });
    for &(name, by_default, write) in SECTIONS {
        let alias = name == "modules" && has("module_list");
        if all || defaults && by_default || has(name) || alias {
            if !text.bytes().is_empty() {
                text.end();
            }
            write(cx.s, &sums, &mut text);
        }
    }
    cx.s.meter.add(cost::INFO * text.bytes().len() as u64 / 6_000);
    cx.add_verbatim(text.bytes(), *b"txt");
}

fn server(s: &Server, _: &Sums, t: &mut Text) {
    let uptime = s.now.unix.secs().saturating_sub(s.started.unix.secs());
    t.lit(
        "# Server\r\nredis_version:7.0.15\r\nredis_git_sha1:00000000\r\nredis_git_dirty:0\r\n\
         redis_build_id:ae4d7c971a948f0\r\nredis_mode:standalone\r\nos:Linux 6.1.0 x86_64\r\narch_bits:64\r\n\
         monotonic_clock:POSIX clock_gettime\r\nmultiplexing_api:epoll\r\natomicvar_api:c11-builtin\r\n\
         gcc_version:12.2.0\r\n",
    );
    t.field("process_id:", super::persistence::pid(s)).lit("process_supervised:no\r\nrun_id:").id(s.run_id);
    t.field("\r\ntcp_port:", s.config.port);
    t.field("server_time_usec:", s.now.unix.us());
    t.field("uptime_in_seconds:", uptime);
    t.field("uptime_in_days:", uptime / 86_400);
    t.field("hz:", s.config.hz).field("configured_hz:", s.config.hz);
    t.field("lru_clock:", s.now.unix.secs() & 0x00ff_ffff);
    t.lit("executable:/usr/bin/redis-server\r\nconfig_file:/etc/redis/redis.conf\r\n");
    t.flag("io_threads_active:", s.threads.active);
    if let Some(left) = s.shutdown_in() {
        t.field("shutdown_in_milliseconds:", left.ms());
    }
}

fn clients(s: &Server, _: &Sums, t: &mut Text) {
    use super::session::Flags;
    let (mut ordinary, mut blocked) = (0, 0);
    let timed = s.blocking.timed() + replication::wait::timed(s);
    for session in s.sessions.iter() {
        ordinary += u64::from(!super::clients::is_replica(session));
        blocked += u64::from(session.flags.has(Flags::BLOCKED));
    }
    t.lit("# Clients\r\n");
    t.field("connected_clients:", ordinary).field("cluster_connections:0\r\nmaxclients:", s.config.maxclients);
    t.lit("client_recent_max_input_buffer:0\r\nclient_recent_max_output_buffer:0\r\n");
    t.field("blocked_clients:", blocked)
        .field("tracking_clients:", s.tracking.clients)
        .field("clients_in_timeout_table:", timed as u64);
}

fn memory(s: &Server, sums: &Sums, t: &mut Text) {
    let view = s.overview_with(sums);
    let (used, rss, peak) = (view.used, view.resident, view.peak);
    t.lit("# Memory\r\n").field("used_memory:", used).lit("used_memory_human:").human(used).end();
    t.field("used_memory_rss:", rss).lit("used_memory_rss_human:").human(rss).end();
    t.field("used_memory_peak:", peak).lit("used_memory_peak_human:").human(peak).end();
    t.lit("used_memory_peak_perc:").hundredths(used * 10_000 / peak).lit("%\r\n");
    t.field("used_memory_overhead:", view.overhead).field("used_memory_startup:", STARTUP);
    t.field("used_memory_dataset:", view.dataset).lit("used_memory_dataset_perc:");
    t.hundredths(view.dataset * 10_000 / view.net()).lit("%\r\n");
    t.field("allocator_allocated:", used).field("allocator_active:", used).field("allocator_resident:", rss);
    t.lit(
        "total_system_memory:8589934592\r\ntotal_system_memory_human:8.00G\r\nused_memory_lua:31744\r\n\
         used_memory_vm_eval:31744\r\nused_memory_lua_human:31.00K\r\n",
    );
    let (scripts, libraries) = (s.scripting.memory(), &s.scripting.libraries);
    t.field("used_memory_scripts_eval:", scripts).field("number_of_cached_scripts:", s.scripting.len() as u64);
    t.field("number_of_functions:", libraries.functions() as u64).field("number_of_libraries:", libraries.len() as u64);
    t.lit("used_memory_vm_functions:32768\r\nused_memory_vm_total:64512\r\nused_memory_vm_total_human:63.00K\r\n");
    let all = scripts + libraries.memory();
    t.field("used_memory_functions:", libraries.memory()).field("used_memory_scripts:", all);
    t.lit("used_memory_scripts_human:").human(all).end();
    let maxmemory = s.config.maxmemory;
    t.field("maxmemory:", maxmemory).lit("maxmemory_human:").human(maxmemory).end();
    t.word("maxmemory_policy:", s.config.maxmemory_policy.word());
    t.lit(
        "allocator_frag_ratio:1.00\r\nallocator_frag_bytes:0\r\nallocator_rss_ratio:1.00\r\nallocator_rss_bytes:0\r\nrss_overhead_ratio:1.00\r\n\
         rss_overhead_bytes:0\r\n",
    );
    t.lit("mem_fragmentation_ratio:").hundredths(rss * 100 / used).end();
    t.field("mem_fragmentation_bytes:", rss - used).field("mem_not_counted_for_evict:", s.uncounted_memory());
    t.field("mem_replication_backlog:", view.backlog);
    t.field("mem_total_replication_buffers:", replication::backlog_memory(s));
    t.field("mem_clients_slaves:", view.replicas).field("mem_clients_normal:", view.clients);
    t.field("mem_cluster_links:0\r\nmem_aof_buffer:", s.persistence.aof.buffer_memory());
    t.lit("mem_allocator:jemalloc-5.3.0\r\nactive_defrag_running:0\r\nlazyfree_pending_objects:0\r\n");
    t.field("lazyfreed_objects:", s.stats.lazily_freed);
}

fn persistence_section(s: &Server, _: &Sums, t: &mut Text) {
    t.lit("# Persistence\r\n");
    persistence::info(s, t);
}

fn stats(s: &Server, sums: &Sums, t: &mut Text) {
    use super::pubsub::Topic::{Channel, Pattern, Shard};
    let stats = &s.stats;
    let kbps = |t: &mut Text, name: &str, bytes: u64| {
        t.lit(name).hundredths(bytes * 100 / 1_024).end();
    };
    t.lit("# Stats\r\n");
    t.field("total_connections_received:", stats.connections);
    t.field("total_commands_processed:", stats.num_commands);
    t.field("instantaneous_ops_per_sec:", stats.ops.per_second());
    t.field("total_net_input_bytes:", stats.net_in + stats.net_repl_in);
    t.field("total_net_output_bytes:", stats.net_out + stats.net_repl_out);
    t.field("total_net_repl_input_bytes:", stats.net_repl_in);
    t.field("total_net_repl_output_bytes:", stats.net_repl_out);
    kbps(t, "instantaneous_input_kbps:", stats.input.per_second());
    kbps(t, "instantaneous_output_kbps:", stats.output.per_second());
    kbps(t, "instantaneous_input_repl_kbps:", stats.repl_input.per_second());
    kbps(t, "instantaneous_output_repl_kbps:", stats.repl_output.per_second());
    t.field("rejected_connections:", stats.rejected_connections);
    t.field("sync_full:", stats.sync_full);
    t.field("sync_partial_ok:", stats.sync_partial_ok);
    t.field("sync_partial_err:", stats.sync_partial_err);
    t.field("expired_keys:", stats.expired_keys);
    t.lit("expired_stale_perc:").hundredths(stats.expired_stale_ppm / 100).end();
    t.field("expired_time_cap_reached_count:", stats.expired_time_cap);
    let (total, current) = s.eviction.exceeded_ms(s.now.mono);
    t.lit("expire_cycle_cpu_milliseconds:0\r\n");
    t.field("evicted_keys:", stats.evicted_keys).field("evicted_clients:", stats.evicted_clients);
    t.field("total_eviction_exceeded_time:", total).field("current_eviction_exceeded_time:", current);
    t.field("keyspace_hits:", stats.hits).field("keyspace_misses:", stats.misses);
    t.field("pubsub_channels:", s.pubsub.topics(Channel).len() as u64);
    t.field("pubsub_patterns:", s.pubsub.topics(Pattern).len() as u64);
    t.field("pubsubshard_channels:", s.pubsub.topics(Shard).len() as u64);
    t.field("latest_fork_usec:", stats.last_fork_us).field("total_forks:", stats.forks);
    t.field("migrate_cached_sockets:", s.migrate.cached() as u64);
    t.field("slave_expires_tracked_keys:", s.expire_cycle.own());
    t.lit(
        "active_defrag_hits:0\r\n\
         active_defrag_misses:0\r\nactive_defrag_key_hits:0\r\nactive_defrag_key_misses:0\r\n\
         total_active_defrag_time:0\r\ncurrent_active_defrag_time:0\r\n",
    );
    let (keys, items, prefixes) = s.tracking.totals();
    t.field("tracking_total_keys:", keys).field("tracking_total_items:", items);
    t.field("tracking_total_prefixes:", prefixes);
    t.field("unexpected_error_replies:", stats.unexpected_errors).field("total_error_replies:", stats.error_replies);
    t.lit("dump_payload_sanitizations:0\r\n");
    t.field("total_reads_processed:", stats.reads).field("total_writes_processed:", stats.writes);
    t.field("io_threaded_reads_processed:", stats.io_reads).field("io_threaded_writes_processed:", stats.io_writes);
    let (shrunk, grown) = s.stats.reply_buffers;
    t.field("reply_buffer_shrinks:", shrunk + sums.shrunk).field("reply_buffer_expands:", grown + sums.grown);
}

fn replication_section(s: &Server, _: &Sums, t: &mut Text) {
    t.lit("# Replication\r\n");
    replication::info(s, t);
}

fn cpu(s: &Server, _: &Sums, t: &mut Text) {
    let total = s.meter.total() / 1_000;
    t.lit("# CPU\r\n");
    for (name, us) in [
        ("used_cpu_sys:", total / 2),
        ("used_cpu_user:", total - total / 2),
        ("used_cpu_sys_children:", 0),
        ("used_cpu_user_children:", 0),
        ("used_cpu_sys_main_thread:", total / 2),
        ("used_cpu_user_main_thread:", total - total / 2),
    ] {
        t.lit(name).millionths(us).end();
    }
}

fn modules(_: &Server, _: &Sums, t: &mut Text) {
    t.lit("# Modules\r\n");
}

fn commandstats(s: &Server, _: &Sums, t: &mut Text) {
    t.lit("# Commandstats\r\n");
    for command in s.config.renamed.commands().flat_map(|command| std::iter::once(command).chain(&command.subs)) {
        let stat = s.stats.commands[command.id];
        if stat.calls + stat.rejected + stat.failed == 0 {
            continue;
        }
        let us = stat.ns / 1_000;
        t.lit("cmdstat_").lit(command.spec.name).lit(":calls=").num(stat.calls).lit(",usec=").num(us);
        t.lit(",usec_per_call=").hundredths(us * 100 / stat.calls.max(1));
        t.lit(",rejected_calls=").num(stat.rejected).lit(",failed_calls=").num(stat.failed).end();
    }
}

fn errorstats(s: &Server, _: &Sums, t: &mut Text) {
    t.lit("# Errorstats\r\n");
    for (code, count) in &s.stats.errors {
        t.lit("errorstat_").raw(&bytes_of(code)).lit(":count=").num(*count).end();
    }
}

fn latencystats(s: &Server, _: &Sums, t: &mut Text) {
    t.lit("# Latencystats\r\n");
    if !s.config.latency_tracking {
        return;
    }
    let shown = s.config.get(config::find("latency-tracking-info-percentiles").expect("it is a directive"));
    for command in s.config.renamed.commands().flat_map(|command| std::iter::once(command).chain(&command.subs)) {
        let Some(histogram) = s.stats.latency_of(command.id) else { continue };
        t.lit("latency_percentiles_usec_").lit(command.spec.name).lit(":");
        let percentiles = shown.split(' ').zip(&s.config.latency_tracking_info_percentiles);
        for (i, (name, percentile)) in percentiles.enumerate() {
            let ns = histogram.at_percentile(*percentile);
            t.lit(if i > 0 { ",p" } else { "p" }).lit(name).lit(&format!("={}.{:03}", ns / 1_000, ns % 1_000));
        }
        t.end();
    }
}

fn cluster(_: &Server, _: &Sums, t: &mut Text) {
    t.lit("# Cluster\r\ncluster_enabled:0\r\n");
}

fn keyspace(s: &Server, _: &Sums, t: &mut Text) {
    t.lit("# Keyspace\r\n");
    for (number, db) in s.keyspace.dbs.iter().enumerate() {
        if db.is_empty() {
            continue;
        }
        t.lit("db").num(number as u64).lit(":keys=").num(db.len() as u64);
        t.lit(",expires=").num(db.expires_len() as u64).lit(",avg_ttl=").int(db.avg_ttl).end();
    }
}
