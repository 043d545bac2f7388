package target

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// fault is why a request failed: the step that broke and one line for people.
// Texts hold no secrets and no port numbers chosen by the system, so that equal
// reasons are equal texts.
type fault struct {
	why     hit.Failure
	text    string
	refused bool // the server says that it did nothing about the request
	gone    bool // its HTTP/2 connection takes no more requests
}

func (f *fault) Error() string { return f.text }

func faultf(why hit.Failure, format string, args ...any) *fault {
	return &fault{why: why, text: fmt.Sprintf(format, args...)}
}

func isTimeout(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
}

// isReset tells whether the other side ended the connection, politely or not.
func isReset(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNABORTED)
}

func isEOF(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// bare is the innermost text of an error, without the addresses and local ports
// that package net puts around it.
func bare(err error) string {
	var op *net.OpError
	for errors.As(err, &op) && op.Err != nil {
		err = op.Err
	}
	var sys *os.SyscallError
	if errors.As(err, &sys) {
		err = sys.Err
	}
	return err.Error()
}

// connectFault explains why no connection to addr (a host name and port) could be opened.
func connectFault(err error, addr string, within time.Duration) *fault {
	var done *fault
	var dns *net.DNSError
	switch {
	case errors.As(err, &done):
		return done
	case errors.As(err, &dns):
		return dnsFault(dns)
	case errors.Is(err, errRefused):
		return faultf(hit.ConnectRefused, "%s refused the connection: is the service running, and is the port right?", addr)
	case isTimeout(err):
		return faultf(hit.ConnectTimeout, "no connection to %s within %v", addr, within)
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return faultf(hit.ConnectFailed, "no file descriptors left for a connection to %s: raise the limit (ulimit -n) or use fewer users", addr)
	case errors.Is(err, errNoPort):
		return faultf(hit.ConnectFailed, "no local port left for a connection to %s: keep connections alive, use more source addresses, or widen net.ipv4.ip_local_port_range", addr)
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return faultf(hit.ConnectTimeout, "no connection to %s within %v", addr, within)
	}
	return faultf(hit.ConnectFailed, "no connection to %s: %s", addr, bare(err))
}

func lookupFault(err error, host string) *fault {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return dnsFault(dns)
	}
	return faultf(hit.DNSFailed, "resolving %q: %v", host, err)
}

func dnsFault(err *net.DNSError) *fault {
	switch {
	case err.IsNotFound:
		return faultf(hit.DNSFailed, "no address for %q: check the name, or give one with --resolve", err.Name)
	case err.IsTimeout:
		return faultf(hit.DNSFailed, "the name server did not answer in time for %q", err.Name)
	}
	return faultf(hit.DNSFailed, "resolving %q: %s", err.Name, err.Err)
}

// tlsFault explains a failed handshake, begun with c, with the server at addr.
func tlsFault(err error, c *tls.Config, addr string, within time.Duration) *fault {
	var (
		host      x509.HostnameError
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
	)
	switch {
	case isTimeout(err):
		return faultf(hit.TLSFailed, "no TLS handshake with %s within %v", addr, within)
	case errors.As(err, &host):
		return faultf(hit.TLSFailed, "the certificate of %s is for %s, not %s: pass --sni with a name it is for, or --insecure", addr, certNames(host.Certificate), host.Host)
	case errors.As(err, &authority):
		return faultf(hit.TLSFailed, "the certificate of %s is signed by an unknown authority: pass --cacert with the authority's file, or --insecure", addr)
	case errors.As(err, &invalid):
		if invalid.Reason == x509.Expired {
			return faultf(hit.TLSFailed, "the certificate of %s is not valid today (from %s to %s): renew it, check this machine's clock, or pass --insecure",
				addr, invalid.Cert.NotBefore.UTC().Format(time.DateOnly), invalid.Cert.NotAfter.UTC().Format(time.DateOnly))
		}
		return faultf(hit.TLSFailed, "the certificate of %s is not valid: %v", addr, invalid)
	case errors.As(err, &record):
		return faultf(hit.TLSFailed, "%s does not speak TLS: try http:// or another port", addr)
	case alertText(err) != "":
		return alertFault(alertText(err), c, addr)
	case strings.Contains(err.Error(), "unsupported protocol version"), strings.Contains(err.Error(), "protocol version not supported"):
		return faultf(hit.TLSFailed, "%s speaks none of the TLS versions allowed here: see --tls-min", addr)
	case isReset(err):
		return faultf(hit.TLSFailed, "%s closed the connection during the TLS handshake", addr)
	}
	return faultf(hit.TLSFailed, "TLS with %s: %s", addr, strings.TrimPrefix(bare(err), "tls: "))
}

// alertText is the text of an alert that the server sent over TLS, "" when err
// is none. Subtle: crypto/tls has no exported type for it, only this shape.
func alertText(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" {
		return strings.TrimPrefix(op.Err.Error(), "tls: ")
	}
	return ""
}

// alertFault explains an alert with which the server ended a connection that
// was begun with c.
func alertFault(alert string, c *tls.Config, addr string) *fault {
	var hint string
	aboutCert := strings.Contains(alert, "certificate") || strings.Contains(alert, "access denied")
	switch {
	case aboutCert && (len(c.Certificates) > 0 || c.GetClientCertificate != nil):
		hint = "the server does not accept the certificate given with --cert"
	case aboutCert:
		hint = "it wants a client certificate: pass --cert and --key"
	case strings.Contains(alert, "protocol version"):
		hint = "it speaks none of the TLS versions allowed here: see --tls-min"
	case strings.Contains(alert, "unrecognized name"):
		hint = "it does not know the name " + c.ServerName + ": pass --sni"
	case strings.Contains(alert, "application protocol") && slices.Contains(c.NextProtos, "h2"):
		hint = "it speaks HTTP/1.1: use --http 1.1"
	case strings.Contains(alert, "application protocol"):
		hint = "it does not speak HTTP/1.1: use --http 2"
	default:
		hint = "no common version or cipher, or it wants a client certificate (--cert and --key) or another name (--sni)"
	}
	return faultf(hit.TLSFailed, "%s refused the TLS connection (%s): %s", addr, alert, hint)
}

func certNames(c *x509.Certificate) string {
	var names []string
	if c != nil {
		names = append(names, c.DNSNames...)
		for _, ip := range c.IPAddresses {
			names = append(names, ip.String())
		}
		if len(names) == 0 && c.Subject.CommonName != "" {
			names = append(names, c.Subject.CommonName+" (common name only)")
		}
	}
	switch {
	case len(names) == 0:
		return "no name"
	case len(names) > 3:
		return strings.Join(names[:3], ", ") + " and " + strconv.Itoa(len(names)-3) + " more"
	}
	return strings.Join(names, ", ")
}

// escape shows the beginning of bytes nobody should print as they are. It is
// short so that equal reasons are mostly equal texts, whatever the server sends.
func escape(b []byte) string {
	const most = 12
	if len(b) > most {
		return strconv.QuoteToASCII(string(b[:most])) + "…"
	}
	return strconv.QuoteToASCII(string(b))
}
