// ioredis against a deployment that is served: Sentinel discovery, a pipeline, messages.
//
// Usage: ioredis.mjs HOST SENTINEL_PORT MASTER_NAME

import assert from "node:assert";
import Redis from "ioredis";

const [host, port, name] = process.argv.slice(2);
const options = { sentinels: [{ host, port: Number(port) }], name };
const redis = new Redis(options);
assert.equal(await redis.set("key", "value"), "OK");
assert.equal(await redis.get("key"), "value");
const pipeline = redis.pipeline();
for (let number = 0; number < 1000; number++) pipeline.incr("counter");
const replies = await pipeline.exec();
assert.deepEqual(replies.at(-1), [null, 1000]);
const subscriber = new Redis(options);
const message = new Promise((resolve) => subscriber.on("message", (channel, text) => resolve([channel, text])));
assert.equal(await subscriber.subscribe("news"), 1);
assert.equal(await redis.publish("news", "hello"), 1);
assert.deepEqual(await message, ["news", "hello"]);
await Promise.all([redis.quit(), subscriber.quit()]);
console.log("ioredis: discovery, data, a pipeline, messages");
