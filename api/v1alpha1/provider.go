/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1

// Provider names a sender whose scheme Sluice knows.
//
// +kubebuilder:validation:Enum=AdyenPlatform;AdyenStandard;Asana;Bitbucket;Box;CalCom;Calendly;CircleCI;CoinbaseCommerce;Contentful;Discord;DocuSign;Dropbox;ElevenLabs;Forgejo;GitHub;GitLab;GitLabToken;Gitea;Hookdeck;HubSpot;Intercom;Jira;Linear;Mailgun;Meta;Mux;Nexus;Notion;Paddle;PagerDuty;Patchworks;QuickBooks;Razorpay;Sentry;Shopify;Slack;Square;StandardWebhooks;StandardWebhooksEd25519;Stripe;Svix;Twilio;Typeform;Vercel;Webflow;WooCommerce;WorkOS;Xero;Zendesk;Zoom
type Provider string
