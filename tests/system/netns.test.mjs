// Three nodes on hosts of their own (network namespaces on one bridge), and a network that fails.
// run.mjs starts this in a network namespace of its own, which holds the bridge: what is cut between
// the hosts is not cut for the clients here, and nothing touches the machine's own network.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { after, before, test } from "node:test";

import { Cluster, Load, clientsOf, pause } from "./support/cluster.mjs";
import { eventually } from "./support/node.mjs";

const names = ["a", "b", "c"];
const address = (name) => `10.77.0.${names.indexOf(name) + 1}`;
const host = (name) => `skep-${process.pid}-${name}`;
const port = (name) => `p-${name}`;

const run = (line) => {
  const [program, ...args] = line.split(" ");
  return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
};

function buildNetwork() {
  assert.equal(process.env.SKEP_OWN_NETNS, fs.readlinkSync("/proc/self/ns/net"), "start this by run.mjs");
  run("ip link set lo up");
  run("ip link add br0 type bridge");
  run("ip addr add 10.77.0.254/24 dev br0");
  run("ip link set br0 up");
  for (const name of names) {
    run(`ip netns add ${host(name)}`);
    run(`ip link add ${port(name)} type veth peer name eth0 netns ${host(name)}`);
    run(`ip link set ${port(name)} master br0 up`);
    run(`ip -n ${host(name)} link set lo up`);
    run(`ip -n ${host(name)} addr add ${address(name)}/24 dev eth0`);
    run(`ip -n ${host(name)} link set eth0 up`);
  }
  run("nft add table bridge lab");
  run("nft add chain bridge lab cuts { type filter hook forward priority 0 ; }");
}

const cutOneWay = (from, to) => run(`nft add rule bridge lab cuts iifname ${port(from)} oifname ${port(to)} drop`);
const cut = (one, other) => [cutOneWay(one, other), cutOneWay(other, one)];
const lose = (percent) => run(`nft add rule bridge lab cuts numgen random mod 100 < ${percent} drop`);
const heal = () => run("nft flush chain bridge lab cuts");

let cluster;

before(async () => {
  buildNetwork();
  cluster = await Cluster.start({
    hosts: Object.fromEntries(names.map((name) => [name, address(name)])),
    start: (name) => ({ listen: `${address(name)}:0`, prefix: ["ip", "netns", "exec", host(name)] }),
  });
});

after(async () => {
  await cluster?.stop();
  for (const name of names) {
    try {
      run(`ip netns del ${host(name)}`);
    } catch (error) {
      console.error(error.message);
    }
  }
});

/// No two nodes may disagree on what a view of one number is.
class ViewWatch {
  seen = new Map();
  #stopping = false;
  #done = this.#watch();

  async stop() {
    this.#stopping = true;
    await this.#done;
    assert.ok(this.seen.size > 0);
  }

  async #watch() {
    while (!this.#stopping) {
      for (const name of names) {
        const { view } = await cluster.view(name);
        const members = view.members.map((member) => `${member.name}/${member.incarnation}/${member.draining}`).join();
        if (view.number === 0) continue;
        assert.equal(this.seen.get(view.number) ?? members, members, `view ${view.number} at ${name}`);
        this.seen.set(view.number, members);
      }
      await pause(20);
    }
  }
}

/// Does `harm` under load on all three, then heals; nobody's client may notice but by begun streams.
async function survives(harm) {
  const load = new Load(clientsOf(cluster, names), { lanes: 12 });
  const watch = new ViewWatch();
  try {
    await load.more(50);
    await harm(load);
  } finally {
    heal();
  }
  await cluster.settled();
  await load.more(50);
  await watch.stop();
  await load.stop({ broken: true });
}

test("one node cut off from two: the two go on, the one says so, and it heals", async (t) => {
  await survives(async (load) => {
    cut("a", "b");
    cut("a", "c");
    const took = await cluster.recovers("a", ["b", "c"]);
    t.diagnostic(`detected after ${took.detected} ms, whole after ${took.whole} ms`);
    await eventually("a says so", async () => /^degraded: /.test((await cluster.ready("a")).status));
    assert.equal((await cluster.view("a")).quorum, false);
    await load.more(100);
  });
});

test("a link that works in one direction only ends in one view that all who are in it share", async () => {
  await survives(async (load) => {
    cutOneWay("a", "b");
    // First b misses a and tells it nothing more, then a misses b: two times the detection.
    await Promise.all([cluster.detects("a", "b", 5000), cluster.detects("b", "a", 5000)]);
    await eventually("a majority serves every slot", async () => {
      const views = await Promise.all(names.map((name) => cluster.view(name)));
      const inForce = views.filter((seen) => seen.quorum);
      return inForce.length >= 2 && new Set(inForce.map((seen) => seen.view.number)).size === 1;
    }, 5000);
    await load.more(100);
  });
});

test("with every fifth packet lost all is slower, and nothing is lost", async () => {
  await survives(async (load) => {
    lose(20);
    await load.more(300, 30000);
    await pause(5000);
  });
});
