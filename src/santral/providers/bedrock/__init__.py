"""Converse of AWS Bedrock: signed calls, binary streams."""
