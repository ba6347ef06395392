"""What the gateway adds to a request, and how many it takes, against HAProxy."""

from harness import RUNS, haproxy, nginx, post_script, proxy_config, row, say, skep, wrk

TOOLS = ("haproxy", "nginx", "wrk")


def run(bench):
    say("gateway: added latency and throughput against HAProxy, same upstream")
    script = post_script(bench.folder)
    added, added_ha, ratio_latency, rates, rates_ha, ratio_rates = ([] for _ in range(6))
    with nginx(bench.folder) as up, haproxy(bench.folder, up) as ha, \
            skep(bench.binary, bench.folder, proxy_config(up)) as (_, ours):
        for _ in range(RUNS):
            direct = wrk(up, 1, bench.seconds, script)[1]
            through_ha = wrk(ha, 1, bench.seconds, script)[1] - direct
            through_us = wrk(ours, 1, bench.seconds, script)[1] - direct
            added.append(through_us)
            added_ha.append(through_ha)
            ratio_latency.append(through_us / through_ha)
            rates_ha.append(wrk(ha, 32, bench.seconds, script)[0])
            rates.append(wrk(ours, 32, bench.seconds, script)[0])
            ratio_rates.append(rates[-1] / rates_ha[-1])
    row("gateway, added latency at c=1, median", "us", added)
    row("HAProxy, added latency at c=1, median", "us", added_ha)
    row("added latency, skep / HAProxy", "ratio", ratio_latency, "target <= 4")
    row("gateway, requests at c=32", "1/s", rates)
    row("HAProxy, requests at c=32", "1/s", rates_ha)
    row("requests at c=32, skep / HAProxy", "ratio", ratio_rates)
