package outbound

import (
	"fmt"
	"strings"
)

// Routes is a tree of path templates such as /v2/orders/{order_id}. The zero value has
// none. It is safe for concurrent use.
type Routes struct {
	literal   map[string]*Routes
	parameter *Routes
	template  string
}

// NewRoutes returns the tree of templates, each of which begins with a slash. A literal
// segment takes precedence over a parameter. Of two templates that differ only in the
// names of their parameters, the last one is used.
func NewRoutes(templates ...string) *Routes {
	root := new(Routes)
	for _, template := range templates {
		node := root
		for segment := range strings.SplitSeq(strings.TrimPrefix(template, "/"), "/") {
			node = node.grow(segment)
		}
		node.template = template
	}
	return root
}

func (r *Routes) grow(segment string) *Routes {
	if strings.HasPrefix(segment, "{") {
		if r.parameter == nil {
			r.parameter = new(Routes)
		}
		return r.parameter
	}
	if r.literal == nil {
		r.literal = make(map[string]*Routes)
	}
	if r.literal[segment] == nil {
		r.literal[segment] = new(Routes)
	}
	return r.literal[segment]
}

// Route returns the template of a path, which is escaped as in a URL. It is empty if no
// template matches, so that span names have few values.
func (r *Routes) Route(path string) string {
	path = strings.TrimSuffix(strings.TrimPrefix(path, "/"), "/")
	for rest, more := path, true; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		if next := r.literal[segment]; next != nil {
			r = next
		} else if r = r.parameter; r == nil || segment == "" {
			return ""
		}
	}
	return r.template
}

// HostRoutes are path templates by host.
type HostRoutes []hostRoute

type hostRoute struct {
	host   Hosts // one pattern
	routes *Routes
}

// ParseRoutes reads a list of templates, each after a pattern of hosts:
//
//	api.example.com/v1/users/{user_id}
//	*.example.org/orders/{id}
//
// It returns all valid items. The error contains the first invalid one, if any.
func ParseRoutes(items []string) (HostRoutes, error) {
	var hosts []string
	templates := map[string][]string{}
	var wrong error
	for _, item := range items {
		host, path, ok := strings.Cut(strings.TrimSpace(item), "/")
		host = strings.ToLower(host)
		if !ok || host == "" || strings.ContainsAny(host, "{}: ?#@") && !validPort(host) || !validTemplate(path) {
			if wrong == nil {
				wrong = fmt.Errorf("%q: a route is a host and a path, such as api.example.com/v1/users/{id}", item)
			}
			continue
		}
		if templates[host] == nil {
			hosts = append(hosts, host)
		}
		templates[host] = append(templates[host], "/"+path)
	}
	var table HostRoutes
	for _, host := range hosts {
		table = append(table, hostRoute{Hosts{host}, NewRoutes(templates[host]...)})
	}
	return table, wrong
}

func validPort(host string) bool {
	name, port, ok := strings.Cut(host, ":")
	return ok && name != "" && port != "" && strings.Trim(port, "0123456789") == "" && !strings.ContainsAny(name, "{} ?#@")
}

// validTemplate reports whether the segments of path are literals or parameters.
func validTemplate(path string) bool {
	if strings.ContainsAny(path, "?# ") {
		return false
	}
	for segment := range strings.SplitSeq(path, "/") {
		inner := strings.TrimSuffix(strings.TrimPrefix(segment, "{"), "}")
		if strings.ContainsAny(inner, "{}") || (segment != inner) != (len(segment) == len(inner)+2) || segment == "{}" {
			return false
		}
	}
	return true
}

// Route returns the template of a call's path; empty if the table has none. It uses the
// first pattern that matches the host and has a template for the path.
func (t HostRoutes) Route(host, path string) string {
	for _, r := range t {
		if r.host.Match(host) {
			if template := r.routes.Route(path); template != "" {
				return template
			}
		}
	}
	return ""
}
