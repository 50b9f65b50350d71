"""Many messages over few connections: a pipelined SMTP client, and a mail compiled once for all its readers."""
