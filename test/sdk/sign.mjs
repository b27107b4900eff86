// Copyright 2026 The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

// Reads {provider, secret, url, body} as JSON from the standard input, and prints the signature that the provider's own
// SDK makes of it.

import { text } from "node:stream/consumers";
import { parse } from "node:querystring";

const signers = {
  async GitHub({ secret, body }) {
    const { sign } = await import("@octokit/webhooks-methods");
    return sign(secret, body);
  },
  async Twilio({ secret, url, body }) {
    const { default: twilio } = await import("twilio");
    // Where the URL has a digest of the body, no parameters are signed.
    const parameters = new URL(url).searchParams.has("bodySHA256") ? {} : parse(body);
    return twilio.getExpectedTwilioSignature(secret, url, parameters);
  },
};

const request = JSON.parse(await text(process.stdin));
process.stdout.write(await signers[request.provider](request));
