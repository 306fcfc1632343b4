"""What a measuring host is asked, told and watched for."""
