/// Key sets and tokens by algorithm: made with OpenSSL 3.0 for these tests.
enum Vectors {
    struct Vector: Sendable {
        var keys: String
        var token: String
    }

    static let algorithms = all.keys.sorted()

    static let all: [String: Vector] = [
        "RS256": Vector(
            keys: """
                {"keys":[{"kid":"rs","kty":"RSA","n":"2OsQBx0khSc-VLTrh1wWjTdfO2dZD7b3\
                QJasNfszvhdhke1GpkAb01rSojUs-0inz3a4oelnrMQ-cIgi3fV6jUYto4eTTeQ5J99-Ty\
                3HfCL7-Dok79dT_MXKZSBQ_7FYEdQ8db1QUIQUs1RnT2EXpWH3C8leYToWD9PnRHr0qOyh\
                up2W_cmrnC8PKcJ3tjw5Wkp5iXENqXUlWc63XRZCPvbqQkQ87wutnWQqvXPzy_9qECQrNQ\
                l4Uds7gxWhO_4JB6Q0D_y8Y4faA6JHZYx3ZzPBfS4axvV4tyZmDazpqw0CKSWAFc26oAMW\
                x_nUS6wdpymGzFOpRIOU7kJbn4Armw","e":"AQAB"}]}
                """,
            token: """
                eyJhbGciOiJSUzI1NiIsImtpZCI6InJzIn0.eyJpc3MiOiJodHRwczovL2lzc3Vlci50ZX\
                N0IiwiZXhwIjoyMTAwMDAwMDAwLCJhdWQiOlsic2hvcCIsIngiXSwibmJmIjoxOTAwMDAw\
                MDAwLCJzdWIiOiJtZSIsInJlYWxtIjp7InJvbGVzIjpbInVzZXIiLCJhZG1pbiJdfX0.Hl\
                h9bEAObUSWt_RESs6oYTA3pvB16eyL3fEcd5vEyHECe_hszA52IOqF3GNCc_s6LhMADLEe\
                lDE9_fKlyu4xJFpWd_APo8mZn1b_uq9gXGPwhmMM5RxNxmrN24aB78B0mZO8Ey2M4sNsYi\
                lpstAYNXvQjaprWxEIfMbVD_h6CywX1VFJa-sDkCkUqUHJg9ssqQ0xXXmVHc1QRfNQe_ak\
                ZLTpDQ-ukP5KqxmJOEbN22uaVGJ7Xv7lv0VAvXtm85Tqpbwcz4Cqj82g0kLk4v2MO3ti8w\
                2BF7ZbRtd4EPKnK4BAASfacoL5e9bom6fFLiGQc5-j4gWRvzXw1MoQRsyLpQ
                """),
        "RS384": Vector(
            keys: """
                {"keys":[{"kid":"rs","kty":"RSA","n":"2OsQBx0khSc-VLTrh1wWjTdfO2dZD7b3\
                QJasNfszvhdhke1GpkAb01rSojUs-0inz3a4oelnrMQ-cIgi3fV6jUYto4eTTeQ5J99-Ty\
                3HfCL7-Dok79dT_MXKZSBQ_7FYEdQ8db1QUIQUs1RnT2EXpWH3C8leYToWD9PnRHr0qOyh\
                up2W_cmrnC8PKcJ3tjw5Wkp5iXENqXUlWc63XRZCPvbqQkQ87wutnWQqvXPzy_9qECQrNQ\
                l4Uds7gxWhO_4JB6Q0D_y8Y4faA6JHZYx3ZzPBfS4axvV4tyZmDazpqw0CKSWAFc26oAMW\
                x_nUS6wdpymGzFOpRIOU7kJbn4Armw","e":"AQAB"}]}
                """,
            token: """
                eyJhbGciOiJSUzM4NCIsImtpZCI6InJzIn0.eyJpc3MiOiJodHRwczovL2lzc3Vlci50ZX\
                N0IiwiZXhwIjoyMTAwMDAwMDAwLCJhdWQiOlsic2hvcCIsIngiXSwibmJmIjoxOTAwMDAw\
                MDAwLCJzdWIiOiJtZSIsInJlYWxtIjp7InJvbGVzIjpbInVzZXIiLCJhZG1pbiJdfX0.l1\
                E9m36O798fNy9My6pG5aUUmSHdbYv6vT68pcUFVm49XBgZW4QIca2t0e3v0chK6X2K2p1O\
                0nMgMUzAwJi9k-F4PlhkR7xhZOtObemurx1DCbDRzOa5a4k74S2OTVnS3DIE178Q6VeqMH\
                X4VNnU62i2RXBwrvZHh_TvRCoOG7N-u0tM6fVAAKRlqzyYVmfsiw1RI93UVVGiWzvtWIy4\
                mnScUSwGkKXD-R_YEp16A2z2eESR7Yka_f45ky8tCszm_84GQRJjK5mvAANuWWk-HkW81o\
                qNFO5gbrGxJkUYKhKGU2htqN4ZXu4iLS8eElgxz-MKWuPu4gw65RaKBO4qdQ
                """),
        "RS512": Vector(
            keys: """
                {"keys":[{"kid":"rs","kty":"RSA","n":"2OsQBx0khSc-VLTrh1wWjTdfO2dZD7b3\
                QJasNfszvhdhke1GpkAb01rSojUs-0inz3a4oelnrMQ-cIgi3fV6jUYto4eTTeQ5J99-Ty\
                3HfCL7-Dok79dT_MXKZSBQ_7FYEdQ8db1QUIQUs1RnT2EXpWH3C8leYToWD9PnRHr0qOyh\
                up2W_cmrnC8PKcJ3tjw5Wkp5iXENqXUlWc63XRZCPvbqQkQ87wutnWQqvXPzy_9qECQrNQ\
                l4Uds7gxWhO_4JB6Q0D_y8Y4faA6JHZYx3ZzPBfS4axvV4tyZmDazpqw0CKSWAFc26oAMW\
                x_nUS6wdpymGzFOpRIOU7kJbn4Armw","e":"AQAB"}]}
                """,
            token: """
                eyJhbGciOiJSUzUxMiIsImtpZCI6InJzIn0.eyJpc3MiOiJodHRwczovL2lzc3Vlci50ZX\
                N0IiwiZXhwIjoyMTAwMDAwMDAwLCJhdWQiOlsic2hvcCIsIngiXSwibmJmIjoxOTAwMDAw\
                MDAwLCJzdWIiOiJtZSIsInJlYWxtIjp7InJvbGVzIjpbInVzZXIiLCJhZG1pbiJdfX0.wN\
                t7J86f_A-bl1o3HYtFy2eOdyHDKzEhBvlUSA1HZY7BtoZWqGgGMe9nTuwL6JQx5Tq__Arg\
                z2ZZPHhP8nYEyY6ELbjN4B35vQ_iJyJDNSbc2KFCAuGB7YVw0OAIuO0zfAEGqArb9EBr3F\
                _mvoZfixodGdkv61dk-y9UknO39i0lQQG8XvyCjKPB77QM1_8MSE0aBMWZ7n7uFPuA7rwj\
                9o3Ly2jJfTYdb7Yb5LpMF6DwL9MA3ZR0jPALFni4z2ExAE_y72sV8R2XufDbF0E9rtMGHH\
                vE-hgKhsEc7ZwZA1vrcOLOAu6zzxcsxsn0bE-ihUfJ0RmvCvGbaVFFCQax9A
                """),
        "PS256": Vector(
            keys: """
                {"keys":[{"kid":"rs","kty":"RSA","n":"2OsQBx0khSc-VLTrh1wWjTdfO2dZD7b3\
                QJasNfszvhdhke1GpkAb01rSojUs-0inz3a4oelnrMQ-cIgi3fV6jUYto4eTTeQ5J99-Ty\
                3HfCL7-Dok79dT_MXKZSBQ_7FYEdQ8db1QUIQUs1RnT2EXpWH3C8leYToWD9PnRHr0qOyh\
                up2W_cmrnC8PKcJ3tjw5Wkp5iXENqXUlWc63XRZCPvbqQkQ87wutnWQqvXPzy_9qECQrNQ\
                l4Uds7gxWhO_4JB6Q0D_y8Y4faA6JHZYx3ZzPBfS4axvV4tyZmDazpqw0CKSWAFc26oAMW\
                x_nUS6wdpymGzFOpRIOU7kJbn4Armw","e":"AQAB"}]}
                """,
            token: """
                eyJhbGciOiJQUzI1NiIsImtpZCI6InJzIn0.eyJpc3MiOiJodHRwczovL2lzc3Vlci50ZX\
                N0IiwiZXhwIjoyMTAwMDAwMDAwLCJhdWQiOlsic2hvcCIsIngiXSwibmJmIjoxOTAwMDAw\
                MDAwLCJzdWIiOiJtZSIsInJlYWxtIjp7InJvbGVzIjpbInVzZXIiLCJhZG1pbiJdfX0.ew\
                GWoCBFBph21QlPnLIXJec5s5O_ciAskqY5ucdFpunxRMkI0X2lcJKBMSW2F2zQZhfoKlbQ\
                D7Ti0J8sb4FCn1c6Hifw8Xz6QYlHXb23ZJp0G_5eXPATZRxkZMkU15VxYHyu8ZfDuEIVNe\
                NhFGKEP1Ag5z_nGJHguw9zoXfyjHFxBFFFCw98tkP1Yw_4H2wSIY0Hnk4d_z6dIPxhtTfc\
                kEgTGZQiUrat88DA5ZSZsVy0Qwgg6OaAMovfNncXC0yw8DWXiOR3gFQzpr9YyYvDM47UCq\
                CP6RYHglLUTvmRSiJZPaj_c86q1rqUhoJ3B_iyNcj04lgR3cilYQBmb7nXbQ
                """),
        "PS384": Vector(
            keys: """
                {"keys":[{"kid":"rs","kty":"RSA","n":"2OsQBx0khSc-VLTrh1wWjTdfO2dZD7b3\
                QJasNfszvhdhke1GpkAb01rSojUs-0inz3a4oelnrMQ-cIgi3fV6jUYto4eTTeQ5J99-Ty\
                3HfCL7-Dok79dT_MXKZSBQ_7FYEdQ8db1QUIQUs1RnT2EXpWH3C8leYToWD9PnRHr0qOyh\
                up2W_cmrnC8PKcJ3tjw5Wkp5iXENqXUlWc63XRZCPvbqQkQ87wutnWQqvXPzy_9qECQrNQ\
                l4Uds7gxWhO_4JB6Q0D_y8Y4faA6JHZYx3ZzPBfS4axvV4tyZmDazpqw0CKSWAFc26oAMW\
                x_nUS6wdpymGzFOpRIOU7kJbn4Armw","e":"AQAB"}]}
                """,
            token: """
                eyJhbGciOiJQUzM4NCIsImtpZCI6InJzIn0.eyJpc3MiOiJodHRwczovL2lzc3Vlci50ZX\
                N0IiwiZXhwIjoyMTAwMDAwMDAwLCJhdWQiOlsic2hvcCIsIngiXSwibmJmIjoxOTAwMDAw\
                MDAwLCJzdWIiOiJtZSIsInJlYWxtIjp7InJvbGVzIjpbInVzZXIiLCJhZG1pbiJdfX0.SM\
                -to3lYAFBARklxx3r9WXQudRaBBfQyYjkgsSpglkfzuaXl2X8k1Ucep1uH6cQw6ATyjG2j\
                OW61sGsAM4LerpA_E_gMDSHwJo4Qk4lqgieITeSAa1fWlHXnu5EEEzBblFLMpVTQDaLekM\
                3cGlv_sbw7emGsMvA3_KjZMWrNMayHIs31a0N63m9N-k-_CRcJ4rswiCdpYF7Vlyb-eUNm\
                iU5KiakLKvRGnyhDi74FAaGj9HHB6EXnoPElTv-FQgPcvBPymNzLnNslnvSITRVq9Jj3RG\
                1KigQVtQdw_rVjLXkIEZrP5hjwa8fAiIvcKQEv6TnETyz1NRMcrmccDk54MQ
                """),
        "PS512": Vector(
            keys: """
                {"keys":[{"kid":"rs","kty":"RSA","n":"2OsQBx0khSc-VLTrh1wWjTdfO2dZD7b3\
                QJasNfszvhdhke1GpkAb01rSojUs-0inz3a4oelnrMQ-cIgi3fV6jUYto4eTTeQ5J99-Ty\
                3HfCL7-Dok79dT_MXKZSBQ_7FYEdQ8db1QUIQUs1RnT2EXpWH3C8leYToWD9PnRHr0qOyh\
                up2W_cmrnC8PKcJ3tjw5Wkp5iXENqXUlWc63XRZCPvbqQkQ87wutnWQqvXPzy_9qECQrNQ\
                l4Uds7gxWhO_4JB6Q0D_y8Y4faA6JHZYx3ZzPBfS4axvV4tyZmDazpqw0CKSWAFc26oAMW\
                x_nUS6wdpymGzFOpRIOU7kJbn4Armw","e":"AQAB"}]}
                """,
            token: """
                eyJhbGciOiJQUzUxMiIsImtpZCI6InJzIn0.eyJpc3MiOiJodHRwczovL2lzc3Vlci50ZX\
                N0IiwiZXhwIjoyMTAwMDAwMDAwLCJhdWQiOlsic2hvcCIsIngiXSwibmJmIjoxOTAwMDAw\
                MDAwLCJzdWIiOiJtZSIsInJlYWxtIjp7InJvbGVzIjpbInVzZXIiLCJhZG1pbiJdfX0.D8\
                rdPmWAtg0ijla8pI7pZokAFgQJY1566HdMS2YvPNfc_eKXWA5qX4KTY5vORtHvW_8Mm_ou\
                ZxKTOq8id97DaM_cTEmron5nntRmYxbWG7ggSdn5O8LgZ8iDTqYUahp3iDLKKRTkslRbMt\
                bqlFqy9OPoYr9rBzhbdjdYhcIWA-5-JX7hXcB8bsG2NPiSPEmHymhs-xRwRNh22NMCdLX3\
                8k7ExZYqNKo8W-L-Fwp1EwNxKCX_6RhgP-fR3kvwqYumEJiYkPWu9CZFP35iXILYciuysV\
                xmtqdWYStfRD9oYVb2_WuW1t5O0KhGYJMB3jalmYxjBtGuqXPcwtKAKWCMzw
                """),
        "ES256": Vector(
            keys: """
                {"keys":[{"kid":"e2","kty":"EC","crv":"P-256","x":"sNoyTwe_NFJRpS0Auyf\
                e-LvzkUNpxyWbG0QFllqbuME","y":"C0t6st7KWxFBh62XMP6G6SPCMB8klMt8d4FLNJM\
                ERp8"}]}
                """,
            token: """
                eyJhbGciOiJFUzI1NiIsImtpZCI6ImUyIn0.eyJpc3MiOiJodHRwczovL2lzc3Vlci50ZX\
                N0IiwiZXhwIjoyMTAwMDAwMDAwLCJhdWQiOlsic2hvcCIsIngiXSwibmJmIjoxOTAwMDAw\
                MDAwLCJzdWIiOiJtZSIsInJlYWxtIjp7InJvbGVzIjpbInVzZXIiLCJhZG1pbiJdfX0._H\
                tXEAESKEgcUCSf4i58A5dxX7f7rKnhWdY88D6yNBxpikgcWTvOz8KQEAblYsqx_cI_NPCr\
                NVVFjfmjR-cBsA
                """),
        "ES384": Vector(
            keys: """
                {"keys":[{"kid":"e3","kty":"EC","crv":"P-384","x":"049O1EwInSlKAriCFnA\
                BdcQljqLfbtrB5N_ghfSII_rYSKrelFOvVvd12Zb13sKW","y":"Gz8lUNl6-mrEkOjJ89\
                NpMXjAFEGg2vvPSPcwdRUAW-HrFc0JA7b0ksrg4yPdDNRZ"}]}
                """,
            token: """
                eyJhbGciOiJFUzM4NCIsImtpZCI6ImUzIn0.eyJpc3MiOiJodHRwczovL2lzc3Vlci50ZX\
                N0IiwiZXhwIjoyMTAwMDAwMDAwLCJhdWQiOlsic2hvcCIsIngiXSwibmJmIjoxOTAwMDAw\
                MDAwLCJzdWIiOiJtZSIsInJlYWxtIjp7InJvbGVzIjpbInVzZXIiLCJhZG1pbiJdfX0.zO\
                eciyRE7rvP1PH1W_pHfPi52utH1crtklQf4egRuVPglHq5J5YuX9qe0ApGL9rnNdNVC4Qf\
                wHoPBBeYvKlSL_uLenvLrHUOwGNxdd2Ji4slIlQK_bqBgq9MwVUy-li3
                """),
        "ES512": Vector(
            keys: """
                {"keys":[{"kid":"e5","kty":"EC","crv":"P-521","x":"AGu3e8S2hctB6P5EVY2\
                og0Ue6MT0VhnjEdDXyzqnSRCP5O5td5XiIcTO-OS-N-42hKB1b2MqGbATvFAtCVnIF6J2"\
                ,"y":"AanVx6tes_S-fnDUP_lfb8S0_DscNmY_hMTn9qcHvVZ5w_EiikiBauJhJtuKgQrh\
                9Lkm5eUyfCLRM40ttYkCipOK"}]}
                """,
            token: """
                eyJhbGciOiJFUzUxMiIsImtpZCI6ImU1In0.eyJpc3MiOiJodHRwczovL2lzc3Vlci50ZX\
                N0IiwiZXhwIjoyMTAwMDAwMDAwLCJhdWQiOlsic2hvcCIsIngiXSwibmJmIjoxOTAwMDAw\
                MDAwLCJzdWIiOiJtZSIsInJlYWxtIjp7InJvbGVzIjpbInVzZXIiLCJhZG1pbiJdfX0.AE\
                MR5ICeEUCK9zr2lcL0X1cx39R3_IjGHMjbfF9jgaZUYtxSzXdBEHhOMLeMclwDowxSggyr\
                ME2IlI95M2BMcul4ALCwue1RPD4wBvvlEMZDGGybery_Y5FK1NrY5v3WbXxft0gk7WMM-M\
                ygJU_YovHb0RTcCp_z3p1ODLF13aPHi-1U
                """),
        "EdDSA": Vector(
            keys: """
                {"keys":[{"kid":"ed","kty":"OKP","crv":"Ed25519","x":"Tok2dEAJD3a8uR3L\
                KP3saE5vJqNmIp4fDrJBAnIl-wo"}]}
                """,
            token: """
                eyJhbGciOiJFZERTQSIsImtpZCI6ImVkIn0.eyJpc3MiOiJodHRwczovL2lzc3Vlci50ZX\
                N0IiwiYXVkIjpbInNob3AiLCJ4Il0sIm5iZiI6MTkwMDAwMDAwMCwiZXhwIjoyMTAwMDAw\
                MDAwLCJzdWIiOiJtZSIsInJlYWxtIjp7InJvbGVzIjpbInVzZXIiLCJhZG1pbiJdfX0.qD\
                3vzq8ahoiPC90BDD5ddpYFMenYybVMWcatkumDghVWS82wWEhGV0teQyEiXwBgXRM8_H47\
                ZDYVgoge7VFgBA
                """),
    ]
}
