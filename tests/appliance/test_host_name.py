"""Host names and addresses are judged as the standards do."""

import ipaddress

import pytest

from edgenode.appliance.host_name import StaticAddress, ip_address, ip_interface, is_own_name


@pytest.mark.parametrize(
    "name", ["a", "1", "bed-1", "BED", "3com", "a.b-c.d", "x" * 63, "a" * 31 + "." + "b" * 32]
)
def test_names_of_rfc_1123_are_names(name):
    assert is_own_name(name) is (name != "1")  # digits alone are written like an address


@pytest.mark.parametrize(
    "name",
    ["", "-a", "a-", "a_b", "a b", "ä", "a.", ".a", "a..b", "10.0.0.1", "a.1", "x" * 64, "a\n",
     "a." * 32 + "a"],
)  # fmt: skip
def test_others_are_not(name):
    assert not is_own_name(name)


@pytest.mark.parametrize(
    "text",
    ["10.0.0.1", "10.0.0.1/", "10.0.0.1/33", "10.0.0.1/255.255.255.0", "10.0.0/8", "010.0.0.1/8",
     "fe80::1%eth0/64", "::1/129", "/24", "10.0.0.1/24 ", "10.0.0.1/٢"],
)  # fmt: skip
def test_what_is_no_address_with_a_prefix_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        ip_interface(text)


def test_a_zone_could_carry_anything_and_is_refused():
    assert ipaddress.ip_address("fe80::1%a\nDHCP=yes")  # Python takes it
    with pytest.raises(ValueError, match="zone"):
        ip_address("fe80::1%a\nDHCP=yes")


@pytest.mark.parametrize(
    ("address", "gateway", "reason"),
    [
        ("10.0.0.0/24", None, "address: 10.0.0.0 stands for all of the network"),
        ("10.0.0.255/24", None, "address: 10.0.0.255 stands for all of the network"),
        ("127.0.0.1/8", None, "address: 127.0.0.1 is no address that a box can have"),
        ("224.0.0.1/24", None, "is no address that a box can have"),
        ("0.0.0.0/0", None, "is no address that a box can have"),
        ("10.0.0.1/24", "10.0.0.1", "gateway: 10.0.0.1 is the box's own"),
        ("10.0.0.1/24", "10.0.1.1", r"gateway: 10.0.1.1 is not in the box's network 10.0.0.0/24"),
        ("10.0.0.1/24", "fe80::1", "is not in the box's network"),
        ("2001:db8::2/64", "10.0.0.1", "is not in the box's network"),
    ],
)
def test_addresses_that_cannot_work_together_are_refused(address, gateway, reason):
    with pytest.raises(ValueError, match=reason):
        StaticAddress(ip_interface(address), gateway and ip_address(gateway))


def test_a_point_to_point_link_and_a_router_on_the_link_are_fine():
    StaticAddress(ip_interface("10.0.0.0/31"), ip_address("10.0.0.1"))
    StaticAddress(ip_interface("2001:db8::2/64"), ip_address("fe80::1"))
