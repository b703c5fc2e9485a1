// Reads {"secret", "id", "seconds", "body", "headers"} from stdin; verifies the headers with the
// npm package and answers with the package's own signature of the same content.
const { Webhook } = require("standardwebhooks");

const given = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const webhook = new Webhook(given.secret);
webhook.verify(given.body, given.headers);
const moment = new Date(given.seconds * 1000);
process.stdout.write(webhook.sign(given.id, moment, given.body));
