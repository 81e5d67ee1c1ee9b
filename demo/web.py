"""An HTTP server that answers with its name and the address of the client it sees."""

import http.server
import socket
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        host, port = self.client_address[:2]
        body = f"{NAME} saw {host.removeprefix('::ffff:')} port {port}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6


NAME, PORT = sys.argv[1], int(sys.argv[2])
Server(("::", PORT), Handler).serve_forever()
