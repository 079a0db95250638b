package tracing

import (
	"strings"
	"sync"
)

// Route returns the template of a path, as it stands escaped in a URL, of
// Alpaca's trading, data or broker API. It is empty for a path that is in none
// of them, so that what is named after it has few names.
func Route(path string) string {
	node := routeTree()
	path = strings.TrimSuffix(strings.TrimPrefix(path, "/"), "/")
	for rest, more := path, true; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		if next := node.literal[segment]; next != nil {
			node = next
		} else if node = node.parameter; node == nil || segment == "" {
			return ""
		}
	}
	return node.template
}

// routeNode is a segment of templates. A literal comes before a parameter, as
// in Alpaca's own routing: no template needs to be tried twice.
type routeNode struct {
	literal   map[string]*routeNode
	parameter *routeNode
	template  string
}

var routeTree = sync.OnceValue(func() *routeNode {
	root := new(routeNode)
	for template := range strings.FieldsSeq(alpacaRoutes) {
		node := root
		for segment := range strings.SplitSeq(template[1:], "/") {
			node = node.grow(segment)
		}
		node.template = template
	}
	return root
})

func (n *routeNode) grow(segment string) *routeNode {
	if segment[0] == '{' {
		if n.parameter == nil {
			n.parameter = new(routeNode)
		}
		return n.parameter
	}
	if n.literal == nil {
		n.literal = make(map[string]*routeNode)
	}
	if n.literal[segment] == nil {
		n.literal[segment] = new(routeNode)
	}
	return n.literal[segment]
}

// alpacaRoutes are the paths of docs.alpaca.markets as of November 2026:
// trading, market data, broker.
const alpacaRoutes = `
/v2/account
/v2/account/configurations
/v2/account/activities
/v2/account/activities/{activity_type}
/v2/account/portfolio/history
/v2/orders
/v2/orders/{order_id}
/v2/orders:by_client_order_id
/v2/positions
/v2/positions/{symbol_or_asset_id}
/v2/positions/{symbol_or_contract_id}/exercise
/v2/positions/{symbol_or_contract_id}/do-not-exercise
/v2/assets
/v2/assets/{symbol_or_asset_id}
/v2/assets/fixed_income/us_treasuries
/v2/assets/fixed_income/us_corporates
/v2/options/contracts
/v2/options/contracts/{symbol_or_id}
/v2/watchlists
/v2/watchlists/{watchlist_id}
/v2/watchlists/{watchlist_id}/{symbol}
/v2/watchlists:by_name
/v2/calendar
/v2/clock
/v2/stream
/v2/corporate_actions/announcements
/v2/corporate_actions/announcements/{id}
/v2/wallets
/v2/wallets/fees/estimate
/v2/wallets/transfers
/v2/wallets/transfers/{transfer_id}
/v2/wallets/whitelists
/v2/wallets/whitelists/{whitelisted_address_id}
/v2/perpetuals/account_vitals
/v2/perpetuals/leverage
/v2/perpetuals/wallets
/v2/perpetuals/wallets/fees/estimate
/v2/perpetuals/wallets/transfers
/v2/perpetuals/wallets/transfers/{transfer_id}
/v2/perpetuals/wallets/whitelists
/v2/perpetuals/wallets/whitelists/{whitelisted_address_id}
/v2/tokenization/mint
/v2/tokenization/requests
/v2/tokenization/requests/{tokenization_request_id}
/v2/tokenization/requests:by_client_request_id
/v1/locates
/v1/locates/quotes
/v1/locates/{locate_id}
/v2alpha1/events/activities
/v2beta1/events/activities
/v3/calendar/{market}
/v3/clock

/v2/stocks/auctions
/v2/stocks/bars
/v2/stocks/bars/latest
/v2/stocks/meta/conditions/{ticktype}
/v2/stocks/meta/exchanges
/v2/stocks/quotes
/v2/stocks/quotes/latest
/v2/stocks/snapshots
/v2/stocks/trades
/v2/stocks/trades/latest
/v2/stocks/{symbol}/auctions
/v2/stocks/{symbol}/bars
/v2/stocks/{symbol}/bars/latest
/v2/stocks/{symbol}/quotes
/v2/stocks/{symbol}/quotes/latest
/v2/stocks/{symbol}/snapshot
/v2/stocks/{symbol}/trades
/v2/stocks/{symbol}/trades/latest
/v1beta1/corporate-actions
/v1/corporate-actions
/v1beta1/crypto-perps/{loc}/latest/bars
/v1beta1/crypto-perps/{loc}/latest/futures-pricing
/v1beta1/crypto-perps/{loc}/latest/pricing
/v1beta1/crypto-perps/{loc}/latest/orderbooks
/v1beta1/crypto-perps/{loc}/latest/quotes
/v1beta1/crypto-perps/{loc}/latest/trades
/v1beta1/crypto/meta/spreads
/v1beta1/fixed_income/latest/prices
/v1beta1/fixed_income/latest/quotes
/v1beta1/forex/latest/rates
/v1beta1/forex/rates
/v1beta1/logos/{symbol}
/v1beta1/news
/v1beta1/options/bars
/v1beta1/options/meta/conditions/{ticktype}
/v1beta1/options/meta/exchanges
/v1beta1/options/quotes/latest
/v1beta1/options/snapshots
/v1beta1/options/snapshots/{underlying_symbol}
/v1beta1/options/trades
/v1beta1/options/trades/latest
/v1beta1/screener/{market_type}/most-actives
/v1beta1/screener/{market_type}/movers
/v1beta2/crypto/bars
/v1beta2/crypto/latest/bars
/v1beta2/crypto/latest/orderbooks
/v1beta2/crypto/latest/quotes
/v1beta2/crypto/latest/trades
/v1beta2/crypto/quotes
/v1beta2/crypto/snapshots
/v1beta2/crypto/trades
/v1beta3/crypto/{loc}
/v1beta3/crypto/{loc}/bars
/v1beta3/crypto/{loc}/latest/bars
/v1beta3/crypto/{loc}/latest/orderbooks
/v1beta3/crypto/{loc}/latest/quotes
/v1beta3/crypto/{loc}/latest/trades
/v1beta3/crypto/{loc}/quotes
/v1beta3/crypto/{loc}/snapshots
/v1beta3/crypto/{loc}/trades

/v1/accounts
/v1/accounts/activities
/v1/accounts/activities/{activity_type}
/v1/accounts/positions
/v1/accounts/{account_id}
/v1/accounts/{account_id}/ach_relationships
/v1/accounts/{account_id}/ach_relationships/{relationship_id}
/v1/accounts/{account_id}/actions/close
/v1/accounts/{account_id}/cip
/v1/accounts/{account_id}/documents
/v1/accounts/{account_id}/documents/upload
/v1/accounts/{account_id}/documents/w8ben/upload
/v1/accounts/{account_id}/documents/{document_id}
/v1/accounts/{account_id}/documents/{document_id}/download
/v1/accounts/{account_id}/funding_wallet
/v1/accounts/{account_id}/funding_wallet/funding_details
/v1/accounts/{account_id}/funding_wallet/recipient_bank
/v1/accounts/{account_id}/funding_wallet/transfers
/v1/accounts/{account_id}/funding_wallet/transfers/{transfer_id}
/v1/accounts/{account_id}/funding_wallet/withdrawal
/v1/accounts/{account_id}/ira_contributions
/v1/accounts/{account_id}/ira_distributions
/v1/accounts/{account_id}/onfido/sdk
/v1/accounts/{account_id}/onfido/sdk/tokens
/v1/accounts/{account_id}/options/approval
/v1/accounts/{account_id}/pdt/status
/v1/accounts/{account_id}/pdt/one-time-removal
/v1/accounts/{account_id}/recipient_banks
/v1/accounts/{account_id}/recipient_banks/{bank_id}
/v1/accounts/{account_id}/transfers
/v1/accounts/{account_id}/transfers/{transfer_id}
/v1/accounts/{account_id}/wallets
/v1/accounts/{account_id}/wallets/fees/estimate
/v1/accounts/{account_id}/wallets/transfers
/v1/accounts/{account_id}/wallets/transfers/{transfer_id}
/v1/accounts/{account_id}/wallets/whitelists
/v1/accounts/{account_id}/wallets/whitelists/{whitelisted_address_id}
/v1/assets
/v1/assets/{symbol_or_asset_id}
/v1/assets/fixed_income/us_treasuries
/v1/calendar
/v1/cash_interest/apr_tiers
/v1/clock
/v1/corporate_actions/announcements
/v1/corporate_actions/announcements/{id}
/v1/country-info
/v1/documents
/v1/documents/{document_id}
/v1/events/accounts/status
/v1/events/journals/status
/v1/events/nta
/v1/events/trades
/v1/events/transfers/status
/v1/instant_funding
/v1/instant_funding/limits
/v1/instant_funding/limits/accounts
/v1/instant_funding/reports
/v1/instant_funding/settlements
/v1/instant_funding/settlements/{settlement_id}
/v1/instant_funding/{instant_transfer_id}
/v1/journals
/v1/journals/batch
/v1/journals/reverse_batch
/v1/journals/{journal_id}
/v1/oauth/authorize
/v1/oauth/clients/{client_id}
/v1/oauth/token
/v1/rebalancing/portfolios
/v1/rebalancing/portfolios/{portfolio_id}
/v1/rebalancing/runs
/v1/rebalancing/runs/{run_id}
/v1/rebalancing/subscriptions
/v1/rebalancing/subscriptions/{subscription_id}
/v1/reporting/eod/aggregate_positions
/v1/reporting/eod/cash_interest
/v1/reporting/eod/positions
/v1/trading/accounts/{account_id}/account
/v1/trading/accounts/{account_id}/account/configurations
/v1/trading/accounts/{account_id}/account/portfolio/history
/v1/trading/accounts/{account_id}/limits
/v1/trading/accounts/{account_id}/orders
/v1/trading/accounts/{account_id}/orders/estimation
/v1/trading/accounts/{account_id}/orders/{order_id}
/v1/trading/accounts/{account_id}/orders:by_client_order_id
/v1/trading/accounts/{account_id}/positions
/v1/trading/accounts/{account_id}/positions/{symbol_or_asset_id}
/v1/trading/accounts/{account_id}/positions/{symbol_or_contract_id}/exercise
/v1/trading/accounts/{account_id}/watchlists
/v1/trading/accounts/{account_id}/watchlists/{watchlist_id}
/v1/trading/accounts/{account_id}/watchlists/{watchlist_id}/{symbol}
/v1/transfers
/v1/watchlists
/v2/events/accounts/status
/v2/events/funding/status
/v2/events/journals/status
/v2/events/trades
/v2beta1/events/trades
/oauth/token
`
