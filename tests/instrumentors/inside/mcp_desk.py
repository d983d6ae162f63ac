"""The desk's tools behind an MCP server on stdio; exports its own spans."""

from desk import TOOLS
from mcp.server.mcpserver import MCPServer
from run import provider_of

if __name__ == "__main__":
    provider = provider_of("refund-tools")
    server = MCPServer("refund-tools")
    for tool in TOOLS:
        server.tool()(tool)
    server.run()
    provider.force_flush()
